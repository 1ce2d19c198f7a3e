import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isForbidden } from '../../cli/access.ts'
import { examineDatabase } from '../../cli/database-findings.ts'
import { databaseFileOf } from '../../cli/service.ts'
import { readConfig } from '../../plugins/core/config/index.ts'

const NOBODY = 65_534
const isRoot = process.geteuid?.() === 0 // who may read everything

/** Does something as a user who may not use a path. */
function withoutRights<Outcome> (path: string, mode: number, act: () => Outcome): Outcome {
  chmodSync(path, 0o000)
  if (isRoot) process.seteuid?.(NOBODY)
  try {
    return act()
  } finally {
    if (isRoot) process.seteuid?.(0)
    chmodSync(path, mode)
  }
}

t.test('A database that belongs to another user', async (t) => {
  const folder = join(t.testdir({ data: { 'postern.db': '' } }), 'data')
  const file = join(folder, 'postern.db')
  const config = readConfig({ DATABASE_URL: `file:${file}` })
  const forbidden = [{ level: 'fail', about: 'permissions', sentence: `This user may not use ${file}. Run the command as the user of the service.` }]

  t.test('is not taken for one that is absent', async (t) => {
    t.notOk(isForbidden(file))
    t.notOk(isForbidden(join(folder, 'another.db')))

    withoutRights(folder, 0o755, () => {
      t.throws(() => databaseFileOf(config), { message: forbidden[0]!.sentence })
      t.same(examineDatabase(config, file), forbidden)
    })
  })

  t.test('is not taken for one that is damaged', async (t) => {
    t.same(withoutRights(file, 0o600, () => examineDatabase(config, file)), forbidden)
  })
})
