import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { build, createClock } from '../helper.ts'
import { ROOT } from '../processes.ts'

interface Program { visit: (address: string, letExpire: () => void) => Promise<unknown[]> }

const DOCUMENT = join(ROOT, 'docs/openapi.json')
const HERE = import.meta.dirname
const GENERATORS = {
  'openapi-fetch': ['openapi-typescript', DOCUMENT, '--output', 'generated/openapi-typescript.ts'],
  'hey-api': ['openapi-ts'],
  orval: ['orval', '--config', 'orval.config.js']
}

/** Runs a command of the packages that package.json here names. */
async function run ([command = '', ...args]: string[]) {
  const { stdout, stderr } = await promisify(execFile)(join(HERE, 'node_modules/.bin', command), args, { cwd: HERE, env: { ...process.env, REDOCLY_TELEMETRY: 'off' } })
  return stdout + stderr
}

t.test('docs/openapi.json', async (t) => {
  rmSync(join(HERE, 'generated'), { recursive: true, force: true })

  t.test('has no fault that Redocly knows', async (t) => {
    t.match(await run(['redocly', 'lint', DOCUMENT]), /is valid/)
    t.notMatch(await run(['redocly', 'lint', DOCUMENT]), /warning/i)
  })

  t.test('gives clients that compile', async (t) => {
    for (const [name, command] of Object.entries(GENERATORS)) await t.resolves(run(command), name)
    t.equal(await run(['tsc', '--project', '.']), '')
  })

  for (const name of Object.keys(GENERATORS)) {
    t.test(`gives a client of ${name} that registers, reads the secret with an expired token, and logs out`, async (t) => {
      const clock = createClock()
      const server = await build(t, { now: clock.now })
      const address = await server.listen({ host: '127.0.0.1', port: 0 })
      const { visit } = await import(join(HERE, `generated/js/programs/${name}.js`)) as Program

      t.same(await visit(address, () => clock.advance(16 * 60)), [201, 42, 204, true])
    })
  }
})
