import { cpSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, startServer } from './processes.ts'
import type { Test } from 'tap'

/** All that the service and the command line need to run, besides node_modules. */
export const PROGRAM = ['app.ts', 'package.json', 'server', 'plugins', 'routes', 'db', 'cli']

/** Starts a copy of the program after `change` has changed the files in its folder. */
export async function startCopy (t: Test, change: (folder: string) => void) {
  const folder = t.testdir()
  for (const name of PROGRAM) cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  change(folder)
  const command = [process.execPath, '--import', join(folder, 'server/check-node.js'), join(folder, 'server/index.ts')]
  return startServer(t, { command, cwd: folder, env: { DATABASE_URL: `file:${join(folder, 'data', 'postern.db')}`, RATE_LIMIT: 'on', _TAPJS_PROCESSINFO_COVERAGE_: '0' } })
}
