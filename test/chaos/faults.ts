import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Client from 'better-sqlite3'
import { PASSWORD } from '../helper.ts'
import { SERVER, run } from '../processes.ts'
import { atEnd, databaseIn, newFolder, startService } from './service.ts'
import type { Service } from './service.ts'

const NOBODY = 65_534
const SETTINGS = { REFRESH_GRACE: '60s' }

interface Tokens { access_token: string, refresh_token: string }

/** Everything that writes, each by somebody of its own: so much happens once the fault is over, and nothing before. */
async function prepare ({ request }: Service) {
  const [leaver, changer, goer] = await Promise.all(['leaver', 'changer', 'goer'].map(async (username) =>
    await (await request('POST', '/auth/register', { body: { username, password: PASSWORD } })).json() as Tokens)) as [Tokens, Tokens, Tokens]
  return {
    leaver,
    writes: [
      ['POST', '/auth/register', { body: { username: 'newcomer', password: PASSWORD } }],
      ['POST', '/auth/login', { body: { username: 'leaver', password: PASSWORD } }],
      ['POST', '/auth/refresh', { token: goer.refresh_token }],
      ['POST', '/auth/password', { token: changer.access_token, body: { current_password: PASSWORD, new_password: `${PASSWORD}!` } }],
      ['POST', '/auth/logout', { token: leaver.access_token }]
    ] as Array<Parameters<Service['request']>>
  }
}

/** A service that meets a fault refuses, tells when to come back, goes on verifying, and does all of it when the fault is over. */
async function meet (name: string, folder: string, fault: (folder: string, service: Service) => () => void) {
  const service = await startService(folder, SETTINGS)
  const { leaver, writes } = await prepare(service)
  const verify = async () => (await service.ask('GET', '/verify', { token: leaver.access_token })).status

  const end = fault(folder, service)
  const refused: typeof writes = [...writes, ['GET', '/health/ready', {}]]
  for (const write of refused) {
    const response = await service.ask(...write)
    const problem = await response.json() as { code: string }
    assert.deepEqual([response.status, problem.code, response.headers.get('retry-after')], [503, 'database_unavailable', '1'], `${name}: ${write[1]}`)
  }
  assert.equal(await verify(), 200, `${name}: a good token`)
  assert.equal((await service.ask('GET', '/health/live')).status, 200)
  end()

  assert.equal((await service.ask('GET', '/health/ready')).status, 200, `${name}: over`)
  assert.equal(await verify(), 200)
  for (const write of writes) assert((await service.ask(...write)).ok, `${name}, when it is over: ${write[1]}`)
  assert.equal(await verify(), 401, 'the logout holds')
  assertIntact(folder)
  assert.equal(await service.ends('SIGTERM'), 0)
  console.log(`${name}: ${writes.length} kinds of writes and /health/ready answered 503 with Retry-After, good tokens 200; afterwards all of it happened, once`)
}

function assertIntact (folder: string) {
  const client = new Client(databaseIn(folder), { readonly: true })
  assert.equal(client.pragma('integrity_check', { simple: true }), 'ok')
  assert.equal(client.prepare("select count(*) from users where username = 'newcomer'").pluck().get(), 1)
  client.close()
}

/** Fills the file system to the last block. */
function fill (folder: string) {
  const filler = join(folder, 'filler')
  const { bavail, bsize } = statfsSync(folder)
  writeFileSync(filler, Buffer.alloc(bavail * bsize))
  return () => rmSync(filler)
}

/** Whatever the file is, the one who opened it before writes on; so this takes the attribute that root alone can set. */
function makeImmutable (folder: string) {
  const files = ['', '-wal'].map((suffix) => databaseIn(folder) + suffix)
  execFileSync('chattr', ['+i', ...files])
  const end = () => { spawnSync('chattr', ['-i', ...files]) }
  atEnd(end) // whatever happens: nobody could delete them
  return end
}

/** Whether this user, on this file system, may do that. */
function canMakeImmutable (): boolean {
  const file = join(newFolder(), 'file')
  writeFileSync(file, '')
  const isDone = spawnSync('chattr', ['+i', file]).status === 0
  if (isDone) execFileSync('chattr', ['-i', file])
  return isDone
}

/** Another process that holds the write lock for as long as it likes. */
function lock (folder: string) {
  const client = new Client(databaseIn(folder))
  client.exec('begin immediate')
  return () => client.close()
}

/** Where nobody is root, the limit on the size of files does what a full disk does. */
function limitFileSize (_folder: string, { pid }: Service) {
  execFileSync('prlimit', [`--pid=${pid}`, '--fsize=1:unlimited'])
  return () => execFileSync('prlimit', [`--pid=${pid}`, '--fsize=unlimited:unlimited'])
}

/** A file that may not be written stops the start with one sentence, and loses nothing. */
async function startReadOnly () {
  const folder = newFolder()
  const service = await startService(folder)
  await prepare(service)
  await service.ends('SIGKILL')
  for (const path of [folder, databaseIn(folder)]) chmodSync(path, path === folder ? 0o555 : 0o444)

  const command = process.getuid?.() === 0 ? ['setpriv', `--reuid=${NOBODY}`, '--clear-groups', ...SERVER] : SERVER
  const { code, stderr } = await run(command, { env: { DATABASE_URL: `file:${databaseIn(folder)}` } })
  assert.equal(code, 1)
  assert.match(stderr, /^DATABASE_URL is ".*" but should be a file that can be opened \(.*\)\.\n$/)

  for (const path of [databaseIn(folder), folder]) chmodSync(path, path === folder ? 0o700 : 0o600)
  const again = await startService(folder)
  assert((await again.ask('POST', '/auth/login', { body: { username: 'leaver', password: PASSWORD } })).ok)
  await again.ends('SIGTERM')
  console.log('a start on a file that is read-only: stopped by one sentence; once it can be written, everybody is there')
}

function mountSmall (): string | undefined {
  const folder = newFolder()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m,mode=700', 'none', folder], { stdio: 'ignore' })
  } catch {
    return undefined // not root
  }
  atEnd(() => execFileSync('umount', ['--lazy', folder]))
  return folder
}

const small = mountSmall()
if (small) await meet('disk full', small, fill)
else console.log('disk full: left out, only root can mount a small one')
await meet('no file may grow', newFolder(), limitFileSize)
if (canMakeImmutable()) await meet('file made read-only', newFolder(), makeImmutable)
else console.log('file made read-only: left out, only root can do that to a file that is open')
await meet('write lock held by another process', newFolder(), lock)
await startReadOnly()
process.exit()
