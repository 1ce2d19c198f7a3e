import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const DEBIAN = '/usr/lib/postgresql'
const INSTALL = 'Install PostgreSQL and PgBouncer (Debian: apt-get install postgresql pgbouncer), or set POSTGRES_BIN to their folder.'
const OTHER_FOLDERS = ['/usr/sbin', '/usr/bin', '/usr/local/bin']
const USERS = ['postgres', 'nobody']
const LAST_LINES = 20

/** Whatever ends, and then ends what it has started: a test, or a whole program. */
export interface Scope {
  teardown: (end: () => unknown) => void
}

/** The path of one of PostgreSQL's programs: from POSTGRES_BIN, or of the newest release that Debian has installed. */
export function programOf (name: string): string {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : []
  const chosen = process.env.POSTGRES_BIN ? [process.env.POSTGRES_BIN] : []
  const folders = [...chosen, ...versions.map((version) => join(DEBIAN, version, 'bin')), ...OTHER_FOLDERS]
  const path = folders.map((folder) => join(folder, name)).find(existsSync)
  if (path === undefined) throw new Error(`${name} was not found. ${INSTALL}`)
  return path
}

/** The account that runs the servers when this is root, whom they refuse; undefined for anybody else. */
function accountForServers () {
  if (process.getuid?.() !== 0) return undefined
  const accounts = new Map(readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => {
    const [name = '', , uid, gid] = line.split(':')
    return [name, { uid: Number(uid), gid: Number(gid) }]
  }))
  const name = USERS.find((user) => accounts.has(user))
  if (name === undefined) throw new Error('There is no user postgres or nobody, and PostgreSQL does not run as root.')
  return accounts.get(name)
}

/** The command as a user who is not root. The kernel sends the signal when this process ends, however it ends. */
export function unprivileged (command: string[], signalAtEnd = 'QUIT'): string[] {
  const account = accountForServers()
  const user = account ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'] : []
  return ['setpriv', `--pdeathsig=${signalAtEnd}`, ...user, ...command]
}

/** A temporary folder that the servers may write to. */
export function newServerFolder () {
  const path = mkdtempSync(join(tmpdir(), 'postern-postgres-'))
  const account = accountForServers()
  if (account) chownSync(path, account.uid, account.gid)
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) }
}

/** Runs `end` once: with its scope, or with the process when an error ends that first. */
export function endWith (t: Scope, end: () => void) {
  function endNow () {
    process.off('exit', endNow)
    end()
  }
  process.once('exit', endNow)
  t.teardown(endNow)
}

/** Runs a program to its end. */
export async function run (command: string[]) {
  const [program = '', ...args] = unprivileged(command)
  const child = spawn(program, args, { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] })
  const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}:\n${errors}`)
}

/** Starts a program that serves until it is stopped. */
export function startDaemon (command: string[], log: string) {
  const [program = '', ...args] = unprivileged(command)
  const output = openSync(log, 'a')
  const child = spawn(program, args, { cwd: '/', stdio: ['ignore', output, output], detached: true }) // ^C in a terminal is for us
  closeSync(output)
  const ended = once(child, 'exit')
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null

  return {
    pid: child.pid!, // it has one, for it was started
    hasEnded,
    ended,
    kill: (signal: NodeJS.Signals) => hasEnded() || child.kill(signal),
    /** The end of its log, for an error. */
    lastLines: () => readFileSync(log, 'utf8').split('\n').slice(-LAST_LINES).join('\n')
  }
}

export type Daemon = ReturnType<typeof startDaemon>
