import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { newServerFolder, programOf, run } from './programs.ts'
import { SUPERUSER, createServer } from './server.ts'
import type { Scope } from './programs.ts'

const MOST_CONNECTIONS = 200

export type Cluster = Awaited<ReturnType<typeof startCluster>>
export type Replica = Awaited<ReturnType<typeof startReplica>>

interface ClusterOptions {
  /** False where nothing has to outlive a crash of the machine: everything is faster. */
  isDurable?: boolean
  /** Lines of postgresql.conf. */
  settings?: Record<string, string>
}

/** A PostgreSQL of one's own in a temporary folder, which goes with its scope. */
export async function startCluster (t: Scope, { isDurable = true, settings = {} }: ClusterOptions = {}) {
  const folder = newServerFolder()
  const data = join(folder.path, 'data')
  const locale = ['--locale=C.UTF-8', '--encoding=UTF8'] // minimal machines have no other
  await run([programOf('initdb'), `--pgdata=${data}`, `--username=${SUPERUSER}`, ...locale, '--auth=trust', '--no-sync'])
  const lines = Object.entries({ max_connections: MOST_CONNECTIONS, fsync: isDurable ? 'on' : 'off', ...settings })
  appendFileSync(join(data, 'postgresql.conf'), lines.map(([name, value]) => `${name} = '${value}'\n`).join(''))

  const server = await createServer(t, folder)
  await server.start()
  return server
}

/** A streaming replica. It commits for the other one where that names it in `synchronous_standby_names`. */
export async function startReplica (t: Scope, primary: Pick<Cluster, 'port'>, { name = 'standby' } = {}) {
  const folder = newServerFolder()
  const source = `host=127.0.0.1 port=${primary.port} user=${SUPERUSER} application_name=${name}`
  const copy = [programOf('pg_basebackup'), `--pgdata=${join(folder.path, 'data')}`, `--dbname=${source}`]
  await run([...copy, '--write-recovery-conf', '--checkpoint=fast', '--no-sync'])

  const server = await createServer(t, folder)
  await server.start()
  return {
    ...server,

    /** Makes it a primary, whatever the other one does. */
    async promote () {
      await server.query('select pg_promote()')
    }
  }
}
