import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { testVerifier } from './conformance.ts'

const VERIFIERS = fileURLToPath(new URL('..', import.meta.url))

const hasGo = spawnSync('go', ['version']).status === 0

t.test('postern.go', { skip: !hasGo && 'golang-go is not installed' }, async (t) => {
  const service = join(t.testdir(), 'service')
  const { status, stderr } = spawnSync('go', ['build', '-o', service, './test'], { cwd: VERIFIERS, encoding: 'utf8' })
  t.equal(status, 0, stderr)

  await t.test('for net/http', (t) => testVerifier(t, [service]))
})
