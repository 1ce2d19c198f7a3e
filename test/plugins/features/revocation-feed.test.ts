import { once } from 'node:events'
import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import Client from 'better-sqlite3'
import t from 'tap'
import { build, createClock, createLog, databaseUrl } from '../../helper.ts'
import type { Readable } from 'node:stream'
import type { Test } from 'tap'

const LOOK_MILLISECONDS = 20
const CHECK_MILLISECONDS = 1000
const KEEP_ALIVE_MILLISECONDS = 15_000
const MOST_A_PAGE = 1000

/** Lets what is under way come to its end. */
async function settle () {
  for (let i = 0; i < 10; i++) await setImmediate()
}

/** The text that a follower was sent and has not read yet. */
async function unread (follower: Readable): Promise<string> {
  await settle()
  const text = String(follower.read() ?? '')
  await settle()
  return text
}

/** A service, and a function that follows as one of its clients. */
async function prepare (t: Test, options: Parameters<typeof build>[1] = {}) {
  const server = await build(t, options)
  const { apiClients, db, revocationFeed } = server
  await apiClients.create('gateway')
  const [client] = await apiClients.list()
  const add = (count: number, text = 'token') => Promise.all(Array.from({ length: count }, (_, i) => db.revocations.add(`${text} ${i}`, Date.now() + 60_000)))
  return { server, db, add, follow: (cursor = 0) => revocationFeed.follow(cursor, client!) } // it was just made
}

t.test('The revocation feed', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())

  t.test('sends a comment every 15 seconds, so that no proxy hangs up', async (t) => {
    const { follow } = await prepare(t)
    const follower = follow()
    await unread(follower)

    mock.timers.tick(KEEP_ALIVE_MILLISECONDS - 1)
    t.equal(await unread(follower), '')
    mock.timers.tick(1)

    t.equal(await unread(follower), ': still here\n\n')
  })

  t.test('sends a hundred followers the same, and nothing to those who have gone', async (t) => {
    const { add, follow } = await prepare(t)
    const followers = Array.from({ length: 120 }, () => follow())
    for (const follower of followers) await unread(follower)

    await add(1)
    const gone = followers.pop()!
    mock.timers.tick(LOOK_MILLISECONDS)
    gone.destroy()
    await settle()

    const texts = followers.map((follower) => String(follower.read()))
    t.equal(gone.readableLength, 0)
    t.match(texts[0], /^id: 1\nevent: revoked\ndata: \{"kind":"jti","id":"token 0","until":"[^"]+"\}\n\n$/)
    t.same(new Set(texts), new Set([texts[0]]))
  })

  t.test('holds a page for a follower that does not read, however much there is, and sends all of it to one that does', async (t) => {
    const { add, follow } = await prepare(t)
    await add(5 * MOST_A_PAGE)
    const sleeper = follow()
    await settle()
    const most = sleeper.readableLength

    await add(MOST_A_PAGE, 'new')
    for (let i = 0; i < 100; i++) mock.timers.tick(KEEP_ALIVE_MILLISECONDS)
    await settle()

    t.ok(most < 200 * MOST_A_PAGE, `${most} bytes`)
    t.equal(sleeper.readableLength, most)
    let text = ''
    for (let part = await unread(sleeper); part; part = await unread(sleeper)) text += part
    t.same([...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id)), Array.from({ length: 6 * MOST_A_PAGE }, (_, i) => i + 1))
  })

  t.test('sends nothing twice to a follower that came with a cursor of this moment', async (t) => {
    const { add, follow } = await prepare(t)
    const first = follow()
    await unread(first)
    await add(2)

    const second = follow(2)
    await unread(second)
    mock.timers.tick(LOOK_MILLISECONDS)

    t.equal(await unread(second), '')
    t.match(await unread(first), /^id: 1\n[^]*id: 2\n/)
  })

  t.test('sends nothing twice to a follower whose page had what is new in it already', async (t) => {
    const { add, follow } = await prepare(t)
    await add(1)
    const follower = follow()
    await add(2, 'new')

    t.match(await unread(follower), /id: 1\n[^]*id: 3\n/)
    mock.timers.tick(LOOK_MILLISECONDS)
    t.equal(await unread(follower), '')
    await add(1, 'newer')
    mock.timers.tick(LOOK_MILLISECONDS)

    t.match(await unread(follower), /^id: 4\n/)
  })

  t.test('sends everything new to a follower whose cursor is of another database', async (t) => {
    const { add, follow } = await prepare(t)
    const follower = follow(999_999)
    await unread(follower)

    await add(1)
    mock.timers.tick(LOOK_MILLISECONDS)

    t.match(await unread(follower), /^id: 1\n/)
  })

  t.test('ends within a second for a client that is deleted, or deleted and made anew, and for no other', async (t) => {
    const { server: { apiClients, revocationFeed }, db, follow } = await prepare(t)
    await apiClients.create('other')
    const { other, ...rest } = Object.fromEntries((await apiClients.list()).map((client) => [client.id, revocationFeed.follow(0, client)]))
    const followers = [...Object.values(rest), follow()]
    await db.apiClients.remove('gateway') // as another process does
    await apiClients.create('gateway')

    mock.timers.tick(CHECK_MILLISECONDS)
    await settle()

    t.ok(followers.length === 2 && followers.every(({ destroyed }) => destroyed))
    t.equal(other!.destroyed, false)
  })

  t.test('does not read the database while nobody follows', async (t) => {
    const { logger, lines } = createLog()
    const { server, follow } = await prepare(t, { logger })
    for (const it of [follow(), follow()]) {
      it.destroy()
      await once(it, 'close')
    }

    await server.db.close()
    mock.timers.tick(KEEP_ALIVE_MILLISECONDS)

    t.same(lines.filter(({ level }) => Number(level) >= 40), [])
  })

  t.test('logs a failing database, and misses nothing when it works again', async (t) => {
    const { logger, lines } = createLog()
    const { db, add, follow } = await prepare(t, { env: { DATABASE_URL: databaseUrl(t) }, logger })
    const file = new Client(db.file)
    t.teardown(() => file.close())
    const follower = follow()
    await unread(follower)
    await add(1)

    file.exec('alter table revocations rename to away; alter table clients rename to away_too')
    mock.timers.tick(LOOK_MILLISECONDS)
    t.match(lines.at(-1), { level: 50, err: { message: /no such table/ }, msg: /revocation feed .* tries again/ })
    mock.timers.tick(CHECK_MILLISECONDS - LOOK_MILLISECONDS)
    await settle()
    t.match(lines.at(-1), { level: 50, err: { message: /no such table/ }, msg: /clients, and tries again/ })
    t.equal(await unread(follower), '')
    file.exec('alter table away rename to revocations; alter table away_too rename to clients')
    mock.timers.tick(LOOK_MILLISECONDS)

    t.match(await unread(follower), /^id: 1\n/)
  })

  t.test('drops a follower whose page cannot be read, so that it comes back', async (t) => {
    const { db, add, follow } = await prepare(t, { env: { DATABASE_URL: databaseUrl(t) } })
    const file = new Client(db.file)
    t.teardown(() => file.close())
    await add(1)
    const follower = follow()
    const failed = once(follower, 'error')

    file.exec('alter table revocations rename to away')
    follower.read()

    t.match(await failed, [{ message: /no such table/ }])
  })

  t.test('begins with new revocations when all old ones are forgotten', async (t) => {
    const { db, follow } = await prepare(t)
    await db.revocations.add('old', 1000)
    follow()
    await db.revocations.prune(1000)

    const follower = follow()
    t.match(await unread(follower), /^: [^\n]+\n\n$/)
    await db.revocations.add('new', 2000)
    mock.timers.tick(LOOK_MILLISECONDS)

    t.match(await unread(follower), /^id: 2\nevent: revoked\ndata: \{"kind":"jti","id":"new"/)
  })

  t.test('tells everything from the beginning when the clock runs backwards at the start, and nothing is known to be told', async (t) => {
    const clock = createClock()
    let behind = 0
    const { server, add, follow } = await prepare(t, { ...clock, now: () => clock.now() - (behind += 61_000) })
    t.equal(server.blocklist.revision(), undefined)
    const follower = follow()
    await unread(follower)

    await add(1)
    await server.blocklist.freshen()

    t.match(await unread(follower), /^id: 1\n/)
  })

  t.test('ends for a follower that still has something to read', async (t) => {
    const { server, add, follow } = await prepare(t)
    await add(2 * MOST_A_PAGE)
    const follower = follow()
    const ended = once(follower.resume(), 'end')

    await server.close()

    await ended
  })
})
