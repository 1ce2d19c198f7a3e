import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { endWith, newServerFolder, programOf, startDaemon } from './programs.ts'
import { SUPERUSER, query } from './server.ts'
import type { Cluster } from './cluster.ts'
import type { Scope } from './programs.ts'

const PATIENCE_MILLISECONDS = 10_000
const LOOK_MILLISECONDS = 20
const MOST_CLIENTS = 500
/** PgBouncer leaves a server that was away alone for so long; 15 seconds unless it is told. */
const RETRY_SECONDS = 1

/** Older ones know no prepared statements, and refuse the setting. */
const FIRST_WITH_PREPARED_STATEMENTS = 1.21

export type Pooler = Awaited<ReturnType<typeof startPooler>>

/** PgBouncer before a cluster, in transaction mode: two transactions of a client may run in two sessions of the server. */
export async function startPooler (t: Scope, cluster: Pick<Cluster, 'port'>) {
  const { path: folder, remove } = newServerFolder()
  const port = await freePort()
  const url = (database: string) => `postgres://${SUPERUSER}@127.0.0.1:${port}/${database}`
  const config = join(folder, 'pgbouncer.ini')
  const accounts = join(folder, 'accounts')
  writeFileSync(accounts, `"${SUPERUSER}" ""\n`)
  writeFileSync(config, toIni({
    databases: { '*': `host=127.0.0.1 port=${cluster.port}` },
    pgbouncer: {
      listen_addr: '127.0.0.1',
      listen_port: port,
      unix_socket_dir: '',
      auth_type: 'trust',
      auth_file: accounts,
      pool_mode: 'transaction',
      max_client_conn: MOST_CLIENTS,
      server_login_retry: RETRY_SECONDS,
      ...versionOf() >= FIRST_WITH_PREPARED_STATEMENTS && { max_prepared_statements: 0 }
    }
  }))

  const daemon = startDaemon([programOf('pgbouncer'), '--quiet', config], join(folder, 'log'))
  endWith(t, () => {
    daemon.kill('SIGKILL') // it keeps nothing
    remove()
  })

  const deadline = performance.now() + PATIENCE_MILLISECONDS
  while (!await query(url('postgres'), 'select').then(() => true, () => false)) {
    if (daemon.hasEnded() || performance.now() > deadline) throw new Error(`PgBouncer did not start:\n${daemon.lastLines()}`)
    await wait(LOOK_MILLISECONDS)
  }

  return {
    port,
    url,

    async stop () {
      daemon.kill('SIGTERM')
      await daemon.ended
    }
  }
}

function versionOf (): number {
  const [, version] = /(\d+\.\d+)/.exec(execFileSync(programOf('pgbouncer'), ['--version'], { encoding: 'utf8' })) ?? []
  return Number(version)
}

function toIni (sections: Record<string, Record<string, string | number>>): string {
  return Object.entries(sections).map(([section, settings]) => {
    return `[${section}]\n${Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`).join('')}`
  }).join('\n')
}
