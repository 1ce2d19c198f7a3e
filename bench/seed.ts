import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import Client from 'better-sqlite3'
import { PASSWORD, newFolder, onDatabase, shuffled } from './harness.ts'
import type { FastifyInstance } from 'fastify'

const HOUR_MILLISECONDS = 3_600_000
const DAY_MILLISECONDS = 24 * HOUR_MILLISECONDS
const ID_BYTES = 16
const LIST = 'benchmarking' // as long as the id of a status list
const LIST_CAPACITY = 1 << 20

/** A session in the database, as a benchmark needs it. */
export interface Seeded {
  sid: string
  username: string
  accessToken: string
}

export interface Seeds {
  folder: string
  /** Sessions spread evenly over all. */
  sample: Seeded[]
  /** Makes the refresh token of a session's generation. */
  refreshToken: FastifyInstance['refreshTokens']['make']
}

/**
 * Makes a database with so many accounts and sessions, all with the same password. The service would take hours to hash
 * and store them, so they are written directly, in one transaction. The service itself makes the tokens; they expire after
 * an hour. With `isDue` the database says that all access tokens have expired, as when they are due for a refresh.
 */
export async function seed ({ users, sessions = users, sampled = 10_000, isDue = false }: { users: number, sessions?: number, sampled?: number, isDue?: boolean }): Promise<Seeds> {
  const folder = newFolder()
  const passwordHash = await onDatabase(folder, ({ passwords }) => passwords.hash(PASSWORD)) // this also makes the tables and the keys
  const expiresAt = Math.floor(Date.now() / 1000) * 1000 + HOUR_MILLISECONDS // tokens expire at whole seconds
  const until = isDue ? expiresAt - 2 * HOUR_MILLISECONDS : expiresAt
  const ids = inFile(folder, (client) => fill(client, users, sessions, passwordHash, until))

  return onDatabase(folder, async ({ db, refreshTokens, sessions: { tokens } }) => {
    async function toSeeded (sid: string): Promise<Seeded> {
      const session = await db.sessions.findById(sid)
      const user = session && await db.users.findById(session.userId)
      if (!session || !user?.username) throw new Error(`No session ${sid} was written.`)
      return { sid, username: user.username, accessToken: tokens({ ...session, accessExpiresAt: expiresAt }).access_token }
    }

    const step = Math.max(1, Math.floor(sessions / sampled))
    const chosen = ids.filter((_, i) => i % step === 0).slice(0, sampled)
    return { folder, sample: await Promise.all(shuffled(chosen).map(toSeeded)), refreshToken: refreshTokens.make }
  })
}

/** Adds live revocations of sessions that have no tokens. */
export function revoke (folder: string, count: number) {
  inFile(folder, (client) => {
    const insert = client.prepare('insert into revocations (kind, revoked_id, until) values (\'sid\', ?, ?)')
    const until = Date.now() + HOUR_MILLISECONDS
    for (const id of ascendingIds(count)) insert.run(id, until)
  })
}

/** Makes a full status list with so many revoked tokens. Returns its id. */
export function fillStatusList (folder: string, tokens: number, revoked: number): string {
  return inFile(folder, (client) => {
    addStatusList(client, tokens)
    const insert = client.prepare('insert or ignore into revoked_statuses (list, "index") values (?, ?)')
    for (let i = 0; i < revoked; i++) insert.run(LIST, Math.floor(Math.random() * LIST_CAPACITY))
    return LIST
  })
}

/** Runs one large transaction. Nothing else may have the file open. A crash may lose it. */
function inFile<T> (folder: string, run: (client: Client.Database) => T): T {
  const client = new Client(join(folder, 'postern.db'))
  try {
    for (const pragma of ['journal_mode = OFF', 'synchronous = OFF', 'foreign_keys = OFF', 'cache_size = -200000']) client.pragma(pragma)
    client.exec('begin')
    const result = run(client)
    client.exec('commit')
    return result
  } finally {
    client.close()
  }
}

/** Writes users and sessions whose access tokens expire at `until`. Returns the ids of the sessions. */
function fill (client: Client.Database, users: number, sessions: number, passwordHash: string, until: number): string[] {
  const now = Date.now()
  const insertUser = client.prepare(`insert into users (id, username, username_key, email, password_hash, password_changed_at, roles, disabled, created_at)
    values (@id, @username, @username, @email, @passwordHash, @now, '[]', 0, @now)`)
  const insertSession = client.prepare(`insert into sessions (id, user_id, generation, created_at, last_used_at, expires_at, access_expires_at, ip, user_agent, status_entries)
    values (@id, @userId, 0, @now, @now, @expiresAt, @until, '127.0.0.1', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', @entries)`)

  addStatusList(client, sessions)
  const userIds = ascendingIds(users)
  userIds.forEach((id, i) => {
    const username = `user${String(i).padStart(7, '0')}`
    insertUser.run({ id, username, email: `${username}@example.com`, passwordHash, now: now - users + i })
  })
  const sessionIds = ascendingIds(sessions)
  sessionIds.forEach((id, i) => {
    insertSession.run({ id, userId: userIds[i % users], now, expiresAt: now + 30 * DAY_MILLISECONDS + i, until, entries: JSON.stringify([{ list: LIST, index: i % LIST_CAPACITY, until }]) })
  })
  return sessionIds
}

function addStatusList (client: Client.Database, issued: number) {
  const tomorrow = Date.now() + DAY_MILLISECONDS
  client.prepare('insert into status_lists (id, seed, issued, closes_at, retires_at) values (?, ?, ?, ?, ?)').run(LIST, randomBytes(16), issued, tomorrow, tomorrow)
}

/** Random ids in ascending order, the fastest to index. */
function ascendingIds (count: number): string[] {
  const bytes = randomBytes(ID_BYTES * count)
  return Array.from({ length: count }, (_, i) => bytes.toString('base64url', ID_BYTES * i, ID_BYTES * (i + 1))).sort()
}
