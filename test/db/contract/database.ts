import { openDatabase } from '../../../db/index.ts'
import { databaseUrl } from '../../helper.ts'
import type { Test } from 'tap'

/** The URL of a PostgreSQL server on which the tests make their databases (test/postgres/run.ts). Without it they run over SQLite. */
const { TEST_POSTGRES } = process.env

/** So often is a race run where chance decides who wins. Connections of one process to SQLite always take turns. */
export const ROUNDS = TEST_POSTGRES === undefined ? 3 : 10

/** A database of the test's own, and the repositories over it. */
export async function openTestDatabase (t: Test) {
  return openUntilEnd(t, TEST_POSTGRES === undefined ? 'file::memory:' : await testDatabaseUrl(t))
}

/** The same for two processes: each has connections of its own, and a memory of its own, to the same database. */
export async function openTwice (t: Test) {
  const url = await testDatabaseUrl(t)
  return [await openUntilEnd(t, url), await openUntilEnd(t, url)] as const
}

/** The same for three. */
export async function openThrice (t: Test) {
  const url = await testDatabaseUrl(t)
  return [await openUntilEnd(t, url), await openUntilEnd(t, url), await openUntilEnd(t, url)] as const
}

/** The URL of an empty database that goes with the test, and that many may open. */
async function testDatabaseUrl (t: Test): Promise<string> {
  if (TEST_POSTGRES === undefined) return databaseUrl(t)
  const [{ testDatabase }, { query }] = await Promise.all([import('../../postgres/databases.ts'), import('../../postgres/server.ts')])
  const url = await testDatabase(TEST_POSTGRES)
  t.teardown(() => query(TEST_POSTGRES, `drop database ${new URL(url).pathname.slice(1)} with (force)`)) // what opened it has closed it
  return url
}

async function openUntilEnd (t: Test, url: string) {
  const database = await openDatabase(url)
  t.teardown(() => database.close())
  return database
}
