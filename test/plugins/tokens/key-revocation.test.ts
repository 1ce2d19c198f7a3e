import { stat } from 'node:fs/promises'
import t from 'tap'
import { build, createClock, createLog, databaseUrl, forge, signIn, signUp } from '../../helper.ts'
import type { FastifyInstance } from 'fastify'

const DAY = 24 * 3600

t.test('signingKeys.revoke', async (t) => {
  t.test('ends the key that signs: its tokens are refused by the next request, and people sign in again', async (t) => {
    const server = await build(t)
    const ada = await signUp(server, { username: 'ada' })
    const bea = await signUp(server, { username: 'bea' })
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 200) // so that it is remembered as good
    const { kid } = server.signingKeys.current()

    t.equal(await server.signingKeys.revoke(kid), true)

    for (const { inject } of [ada, bea]) t.equal((await inject({ url: '/secret' })).statusCode, 401)
    t.not(server.signingKeys.current().kid, kid)
    t.notOk(server.signingKeys.jwks().keys.some((key) => key.kid === kid))
    t.equal((await (await signIn(server, 'ada')).inject({ url: '/secret' })).statusCode, 200)
    t.equal((await bea.refresh()).statusCode, 200)
  })

  t.test('lets the next key sign at once', async (t) => {
    const server = await build(t)
    const ada = await signUp(server, { username: 'ada' })
    const { kid } = server.signingKeys.current()
    const next = await server.signingKeys.rotate()

    await server.signingKeys.revoke(kid)

    t.same(kidsOf(server), [next])
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 401)
    t.equal(headerOf((await signIn(server, 'ada')).access_token).kid, next)
  })

  t.test('ends the next key, and the one that signs goes on', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now })
    const { kid } = server.signingKeys.current()
    const next = await server.signingKeys.rotate()

    await server.signingKeys.revoke(next!)
    clock.advance(30 * DAY)
    await server.signingKeys.rotateWhenDue()

    t.same(kidsOf(server), [kid])
    t.equal(server.signingKeys.current().kid, kid)
  })

  t.test('ends a key that is retiring, and no token of the one that signs', async (t) => {
    const server = await build(t)
    const ada = await signUp(server, { username: 'ada' })
    const { kid } = server.signingKeys.current()
    const next = await server.signingKeys.rotate(Date.now())
    const again = await signIn(server, 'ada')

    await server.signingKeys.revoke(kid)

    t.same(kidsOf(server), [next])
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 401)
    t.equal((await again.inject({ url: '/secret' })).statusCode, 200)
  })

  t.test('is for good: a token that a thief signed is refused, whatever expiry it claims', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now })
    const ada = await signUp(server)
    const { kid, privateKey } = server.signingKeys.current()
    const forged = forge(ada.access_token, privateKey, { exp: clock.now() / 1000 + 180 * DAY })
    t.equal((await server.inject(secretWith(forged))).statusCode, 200)

    await server.signingKeys.revoke(kid)
    clock.advance(30 * DAY)
    await server.blocklist.prune()

    t.equal((await server.inject(secretWith(forged))).statusCode, 401)
  })

  t.test('is seen by the next request to another service on the same database, which signs with the new key', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const [here, there] = [await build(t, { env }), await build(t, { env })]
    const ada = await signUp(there, { username: 'ada' })
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)
    const { kid } = here.signingKeys.current()

    await here.signingKeys.revoke(kid)
    await stat('.') // what another process wrote is seen by what comes from outside afterwards

    t.equal((await ada.inject({ url: '/secret' })).statusCode, 401)
    const again = await signIn(there, 'ada')
    t.equal(headerOf(again.access_token).kid, here.signingKeys.current().kid)
    t.equal((await here.inject(secretWith(again.access_token))).statusCode, 200)
  })

  t.test('gives false for an unknown kid, and logs a warning for a known one', async (t) => {
    const { logger, lines } = createLog()
    const server = await build(t, { logger })
    const { kid } = server.signingKeys.current()

    t.equal(await server.signingKeys.revoke('unknown'), false)
    t.equal(await server.signingKeys.revoke(kid), true)

    t.match(lines.filter(({ event }) => event === 'key_revoked'), [{ level: 40, kid }])
    t.equal(lines.filter(({ event }) => event === 'key_revoked').length, 1)
  })
})

function kidsOf (server: FastifyInstance) {
  return server.signingKeys.all().map(({ kid }) => kid)
}

/** The header of a token. */
function headerOf (token: string) {
  return JSON.parse(Buffer.from(token.split('.', 1).join(), 'base64url').toString())
}

function secretWith (token: string) {
  return { url: '/secret', headers: { authorization: `Bearer ${token}` } }
}
