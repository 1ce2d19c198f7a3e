import { once } from 'node:events'
import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import Client from 'better-sqlite3'
import t from 'tap'
import { build, createLog, databaseUrl } from '../../helper.ts'
import type { Readable } from 'node:stream'

const LOOK_MILLISECONDS = 20
const KEEP_ALIVE_MILLISECONDS = 15_000

/** The text that a follower was sent and has not read yet. */
function unread (follower: Readable): string {
  return String(follower.read() ?? '')
}

t.test('The revocation feed', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())

  t.test('sends a comment every 15 seconds, so that no proxy hangs up', async (t) => {
    const { revocationFeed } = await build(t)
    const follower = revocationFeed.follow(0)
    unread(follower)

    mock.timers.tick(KEEP_ALIVE_MILLISECONDS - 1)
    t.equal(unread(follower), '')
    mock.timers.tick(1)

    t.equal(unread(follower), ': still here\n\n')
  })

  t.test('sends a hundred followers the same, and nothing to those who have gone', async (t) => {
    const { db, revocationFeed } = await build(t)
    const followers = Array.from({ length: 120 }, () => revocationFeed.follow(0))
    followers.map(unread)

    await db.revocations.add('a token', Date.now())
    const gone = followers.pop()!
    mock.timers.tick(LOOK_MILLISECONDS)
    gone.destroy()
    for (let i = 0; i < 5; i++) await setImmediate()

    const texts = followers.map(unread)
    t.equal(gone.readableLength, 0)
    t.match(texts[0], /^id: 1\nevent: revoked\ndata: \{"kind":"jti","id":"a token","until":"[^"]+"\}\n\n$/)
    t.same(new Set(texts), new Set([texts[0]]))
  })

  t.test('does not read the database while nobody follows', async (t) => {
    const { logger, lines } = createLog()
    const server = await build(t, { logger })
    const follower = server.revocationFeed.follow(0)
    const other = server.revocationFeed.follow(0)
    for (const it of [follower, other]) {
      it.destroy()
      await once(it, 'close')
    }

    await server.db.close()
    mock.timers.tick(KEEP_ALIVE_MILLISECONDS)

    t.same(lines.filter(({ level }) => Number(level) >= 40), [])
  })

  t.test('logs a failing database, and misses nothing when it works again', async (t) => {
    const { logger, lines } = createLog()
    const { db, revocationFeed } = await build(t, { env: { DATABASE_URL: databaseUrl(t) }, logger })
    const file = new Client(db.file)
    t.teardown(() => file.close())
    const follower = revocationFeed.follow(0)
    unread(follower)
    await db.revocations.add('a token', Date.now())

    file.exec('alter table revocations rename to away')
    mock.timers.tick(LOOK_MILLISECONDS)
    t.match(lines.at(-1), { level: 50, err: { message: /no such table/ }, msg: /tries again/ })
    t.equal(unread(follower), '')
    file.exec('alter table away rename to revocations')
    mock.timers.tick(LOOK_MILLISECONDS)
    await setImmediate()

    t.match(unread(follower), /^id: 1\n/)
  })

  t.test('begins with new revocations when all old ones are forgotten', async (t) => {
    const { db, revocationFeed } = await build(t)
    await db.revocations.add('old', 1000)
    revocationFeed.follow(0)
    await db.revocations.prune(1000)

    const follower = revocationFeed.follow(0)
    t.match(unread(follower), /^: [^\n]+\n\n$/)
    await db.revocations.add('new', 2000)
    mock.timers.tick(LOOK_MILLISECONDS)
    await setImmediate()

    t.match(unread(follower), /^id: 2\nevent: revoked\ndata: \{"kind":"jti","id":"new"/)
  })
})
