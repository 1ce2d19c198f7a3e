import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from './free-port.ts'
import { endWith, programOf, startDaemon, unprivileged } from './programs.ts'
import type { Daemon, Scope } from './programs.ts'

export const SUPERUSER = 'postgres'

const PATIENCE_MILLISECONDS = 30_000
const LOOK_MILLISECONDS = 20

type Folder = { path: string, remove: () => void }

/** Runs one statement, on a connection of its own. */
export async function query (url: string, sql: string, values: unknown[] = []): Promise<Array<Record<string, unknown>>> {
  const client = new pg.Client(url)
  client.on('error', () => {}) // the query says so, too
  await client.connect()
  try {
    return (await client.query(sql, values)).rows
  } finally {
    await client.end()
  }
}

/** Makes a database of a name that nobody has, a copy of the template, and gives its URL. `url` is any database of that server. */
export async function createDatabase (url: string, { template = 'template1' } = {}): Promise<string> {
  const name = `postern_${randomBytes(6).toString('hex')}`
  await query(url, `create database ${name} template ${template}`)
  return Object.assign(new URL(url), { pathname: name }).href
}

/** PostgreSQL on a folder that holds `data`. It is not running yet. */
export async function createServer (t: Scope, { path: folder, remove }: Folder) {
  const data = join(folder, 'data')
  const port = await freePort()
  const url = (database: string) => `postgres://${SUPERUSER}@127.0.0.1:${port}/${database}`
  let postmaster: Daemon | undefined

  endWith(t, () => {
    if (postmaster && !postmaster.hasEnded()) {
      const [program = '', ...args] = unprivileged([programOf('pg_ctl'), 'stop', '--pgdata', data, '--mode=immediate', '--silent'])
      spawnSync(program, args, { cwd: '/' })
    }
    remove()
  })

  async function start () {
    const listen = ['-c', 'listen_addresses=127.0.0.1', '-c', `port=${port}`, '-c', `unix_socket_directories=${folder}`]
    const started = startDaemon([programOf('postgres'), '-D', data, ...listen], join(folder, 'log'))
    postmaster = started
    const deadline = performance.now() + PATIENCE_MILLISECONDS
    while (!await query(url('postgres'), 'select').then(() => true, () => false)) {
      if (started.hasEnded() || performance.now() > deadline) throw new Error(`PostgreSQL did not start:\n${started.lastLines()}`)
      await wait(LOOK_MILLISECONDS)
    }
  }

  /** Ends it in order; what is connected is cut off. */
  async function stop () {
    postmaster?.kill('SIGINT')
    await postmaster?.ended
  }

  /** Ends the postmaster and everything that it has started by SIGKILL, in the midst of what they do. */
  async function kill () {
    if (!postmaster || postmaster.hasEnded()) return
    postmaster.kill('SIGSTOP') // so that it starts no more meanwhile
    const children = childrenOf(postmaster.pid)
    for (const child of children) process.kill(child, 'SIGKILL')
    postmaster.kill('SIGKILL')
    await postmaster.ended
    while (children.some(isAlive)) await wait(LOOK_MILLISECONDS)
  }

  return {
    folder,
    port,
    url,
    start,
    stop,
    kill,
    createDatabase: (options?: { template?: string }) => createDatabase(url('postgres'), options),
    query: (sql: string, values?: unknown[]) => query(url('postgres'), sql, values),

    /** Changes settings that need no restart, such as `synchronous_standby_names`. */
    async configure (settings: Record<string, string>) {
      for (const [name, value] of Object.entries(settings)) await query(url('postgres'), `alter system set ${name} = '${value}'`)
      await query(url('postgres'), 'select pg_reload_conf()')
    }
  }
}

function childrenOf (pid: number): number[] {
  try {
    return execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' }).split('\n').filter(Boolean).map(Number)
  } catch {
    return [] // there is none
  }
}

/** One that ended and that nobody waited for is still there, as a zombie. */
function isAlive (pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
  return stdout !== '' && !stdout.startsWith('Z')
}
