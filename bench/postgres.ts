import { startCluster } from '../test/postgres/cluster.ts'
import { copyFigures, copyTo } from './postgres-copy.ts'
import { logoutFigures, SESSIONS } from './postgres-logout.ts'
import { refreshFigures } from './postgres-refresh.ts'
import { verifyFigures } from './postgres-verify.ts'
import { seed } from './seed.ts'

const REFRESHED_SESSIONS = 50_000

/** PostgreSQL against SQLite and against its bare driver, and the price of a logout that holds on three instances. */
export default async function postgres () {
  const closers: Array<() => unknown> = []
  const cluster = await startCluster({ teardown: (close) => closers.unshift(close) })

  const signedIn = await seed({ users: SESSIONS, sampled: SESSIONS })
  const signedInCopy = await copyTo(cluster, signedIn.folder)
  const figures = [
    ...await verifyFigures(signedIn, signedInCopy.env),
    ...await logoutFigures(signedIn, signedInCopy)
  ]

  const due = await seed({ users: REFRESHED_SESSIONS, sampled: REFRESHED_SESSIONS, isDue: true })
  figures.push(...await refreshFigures(due, await copyTo(cluster, due.folder)))
  figures.push(...await copyFigures(cluster))

  for (const close of closers) await close()
  return figures
}
