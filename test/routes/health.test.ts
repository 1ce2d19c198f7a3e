import { renameSync } from 'node:fs'
import t from 'tap'
import { assertList, assertRefused, build, createClock, createLog, databaseUrl, signUp, stored } from '../helper.ts'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'

t.test('GET /health/live', async (t) => {
  t.test('is ok as long as the process answers, whatever the database does', async (t) => {
    const server = await buildOnDisk(t)
    const { away } = moving(server)

    const before = await server.inject({ url: '/health/live' })
    away()
    const after = await server.inject({ url: '/health/live' })

    for (const response of [before, after]) {
      t.equal(response.statusCode, 200)
      t.strictSame(response.json(), { status: 'ok' })
    }
  })
})

t.test('GET /health/ready', async (t) => {
  t.test('is ok while the database takes a write', async (t) => {
    const server = await buildOnDisk(t)

    for (let i = 0; i < 2; i++) {
      const response = await server.inject({ url: '/health/ready' })

      t.equal(response.statusCode, 200)
      t.strictSame(response.json(), { status: 'ok' })
    }
  })

  t.test('is a 503 while the database file is gone, and ok when it is back', async (t) => {
    const server = await buildOnDisk(t)
    const { away, back } = moving(server)

    away()
    const gone = await server.inject({ url: '/health/ready' })
    back()
    const found = await server.inject({ url: '/health/ready' })

    assertRefused(t, gone, 503, 'database_unavailable')
    t.notMatch(gone.body, /SQLITE|postern\.db/)
    t.equal(found.statusCode, 200)
  })

  t.test('writes once a second at the most, however often it is asked, and never later than that', async (t) => {
    const { now, advance } = createClock()
    const server = await buildOnDisk(t, { now })
    const statusAfter = async (seconds: number) => {
      advance(seconds)
      return (await server.inject({ url: '/health/ready' })).statusCode
    }
    const { away, back } = moving(server)

    t.equal(await statusAfter(0), 200)
    away()
    t.equal(await statusAfter(0.999), 200, 'as before')
    t.equal(await statusAfter(0.001), 503)
    back()
    t.equal(await statusAfter(0), 200, 'what is bad is not remembered')
    away()
    t.equal(await statusAfter(-3600), 503, 'a clock was set back')
  })

  t.test('has a line in the log that says why', async (t) => {
    const { logger, lines } = createLog()
    const server = await buildOnDisk(t, { logger })

    moving(server).away()
    await server.inject({ url: '/health/ready' })

    assertList(t, lines.filter(({ level }) => level === 50), [
      { event: 'refused', code: 'database_unavailable', route: '/health/ready', err: { code: 'database_unavailable', message: /was moved or deleted/ } }
    ])
  })
})

t.test('while the database file is gone', async (t) => {
  t.test('whatever must be written is refused with a 503, and nothing is lost when the file is back', async (t) => {
    const server = await buildOnDisk(t)
    const { away, back } = moving(server)
    const ada = await signUp(server, { username: 'ada' })
    const before = await stored(server)
    const payload = { username: 'ada', password: 'seven yellow umbrellas' }
    const writes = [
      { method: 'POST', url: '/auth/register', payload: { ...payload, username: 'grace' } },
      { method: 'POST', url: '/auth/login', payload },
      { method: 'POST', url: '/auth/refresh', payload: { refresh_token: ada.refresh_token } },
      { method: 'PATCH', url: '/auth/me', payload: { name: 'Ada' }, headers: { authorization: `Bearer ${ada.access_token}` } },
      { method: 'POST', url: '/auth/logout', headers: { authorization: `Bearer ${ada.access_token}` } }
    ] as const

    away()
    for (const write of writes) assertRefused(t, await server.inject(write), 503, 'database_unavailable')
    back()

    t.strictSame(await stored(server), before)
    for (const write of writes) t.ok((await server.inject(write)).statusCode < 300, `${write.url} works again`)
  })

  t.test('good tokens go on being good', async (t) => {
    const server = await buildOnDisk(t)
    const ada = await signUp(server)

    moving(server).away()

    t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)
  })
})

function buildOnDisk (t: Test, options: Parameters<typeof build>[1] = {}) {
  return build(t, { ...options, env: { DATABASE_URL: databaseUrl(t) } })
}

/** Moves a service's database file away, and back. */
function moving ({ db: { file = '' } }: FastifyInstance) {
  return {
    away: () => renameSync(file, `${file}.away`),
    back: () => renameSync(`${file}.away`, file)
  }
}
