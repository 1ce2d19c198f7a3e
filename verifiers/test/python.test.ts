import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { testVerifier } from './conformance.ts'

const PYTHON = '/usr/bin/python3' // Debian's, which finds Debian's packages
const SERVICE = fileURLToPath(new URL('service.py', import.meta.url))

const hasAll = spawnSync(PYTHON, ['-c', 'import cryptography, flask']).status === 0

t.test('postern.py for Flask', { skip: !hasAll && 'python3-flask and python3-cryptography are not installed' }, (t) => testVerifier(t, [PYTHON, SERVICE]))
