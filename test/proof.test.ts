import { join } from 'node:path'
import t from 'tap'
import { ROOT, run } from './processes.ts'
import type { Test } from 'tap'

/** Runs a program to its end: in a process of its own, whose coverage is not measured, for that would take half as long again. */
async function prove (t: Test, program: string, env: Record<string, string>) {
  const { code, stdout, stderr } = await run([process.execPath, join(ROOT, 'proof', program)], { env: { ...env, _TAPJS_PROCESSINFO_COVERAGE_: '0' } })

  t.comment(stdout)
  t.equal(code, 0, stderr)
}

t.test('Sessions and tokens', async (t) => {
  t.test('do as the model says, for 20,000 random steps', async (t) => {
    await prove(t, 'model.ts', { STEPS: '20000' })
  })
})

t.test('The service', async (t) => {
  t.test('answers whatever it is sent as its OpenAPI document says', async (t) => {
    await prove(t, 'fuzz.ts', { REQUESTS: '500' })
  })
})
