import Client from 'better-sqlite3'
import t from 'tap'
import { build, createClock, databaseUrl } from '../../helper.ts'

t.test('The service records', async (t) => {
  t.test('its settings in the database, without secrets, and those that it has now', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    await (await build(t, { env: { ...env, TRUST_PROXY: '10.0.0.0/8', MASTER_KEY: Buffer.alloc(32, 7).toString('base64'), JWT_ALGORITHM: 'HS256', JWT_SECRET: 'thirty-two bytes, or a few more of them' } })).close()

    const server = await build(t, { env: { ...env, MASTER_KEY: Buffer.alloc(32, 7).toString('base64'), PORT: '8080', ACCESS_TOKEN_TTL: '5m' } })

    const state = await server.db.serviceState.read()
    t.match(state, { ISSUER: 'http://127.0.0.1:8080', TRUST_PROXY: '', JWT_ALGORITHM: 'ES256', ACCESS_TOKEN_TTL: '5m', PASSWORD_MIN_LENGTH: '8' })
    t.notOk('JWT_SECRET' in state || 'MASTER_KEY' in state)
  })

  t.test('nothing again that has not changed', async (t) => {
    const clock = createClock()
    const env = { DATABASE_URL: databaseUrl(t) }
    await (await build(t, { env, now: clock.now })).close()
    clock.advance(60)
    const server = await build(t, { env, now: clock.now })

    const client = new Client(server.db.file, { readonly: true })
    t.teardown(() => client.close())
    t.equal(client.prepare('select max(recorded_at) from service_state').pluck().get(), clock.now() - 60_000)
  })

  t.test('until when tokens may be good that were issued under a longer ACCESS_TOKEN_TTL', async (t) => {
    const clock = createClock()
    const env = { DATABASE_URL: databaseUrl(t) }
    const startWith = async (ttl: string) => {
      const server = await build(t, { env: { ...env, ACCESS_TOKEN_TTL: ttl }, now: clock.now })
      const time = await server.serviceState.tokensExpireBy()
      await server.close()
      return time
    }

    t.equal(await startWith('12h'), 0)
    const end = clock.now() + 12 * 3_600_000
    t.equal(await startWith('15m'), end)
    t.equal(await startWith('5m'), end)
    t.equal(await startWith('1h'), end)
  })
})
