import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../processes.ts'
import { FILE, createDocument } from './openapi.ts'

const closers: Array<() => unknown> = []
const document = await createDocument({ teardown: (close) => { closers.push(close) } })
writeFileSync(join(ROOT, FILE), `${JSON.stringify(document, null, 2)}\n`)
for (const close of closers) await close()
