import { join } from 'node:path'
import t from 'tap'
import { ROOT, run } from './processes.ts'
import type { Test } from 'tap'

/** Runs a program to its end in a process of its own. Its coverage is not measured: that would take half as long again. */
async function runProgram (t: Test, program: string, env: Record<string, string>) {
  const { code, stdout, stderr } = await run([process.execPath, join(ROOT, 'test', program)], { env: { ...env, _TAPJS_PROCESSINFO_COVERAGE_: '0' } })

  t.comment(stdout)
  t.equal(code, 0, stderr)
}

t.test('Sessions and tokens', async (t) => {
  t.test('behave as the model, for 20,000 random steps', async (t) => {
    await runProgram(t, 'model/run.ts', { STEPS: '20000' })
  })
})

t.test('The service', async (t) => {
  t.test('answers random requests as its OpenAPI document says', async (t) => {
    await runProgram(t, 'fuzz/run.ts', { REQUESTS: '500' })
  })
})
