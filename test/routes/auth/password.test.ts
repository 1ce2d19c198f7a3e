import t from 'tap'
import { PASSWORD, assertList, assertOver, assertRefused, bearer, build, buildShared, databaseUrl, signIn, signUp, stored } from '../../helper.ts'

const NEW_PASSWORD = 'eight purple elephants'

const server = await buildShared(t)

t.test('POST /auth/password', async (t) => {
  t.test('changes the password', async (t) => {
    const ada = await signUp(server, { username: 'ada' })

    const response = await change(ada)

    t.equal(response.statusCode, 200)
    t.ok(await signIn(server, 'ada', NEW_PASSWORD))
    await t.rejects(signIn(server, 'ada', PASSWORD), /invalid_credentials/)
  })

  t.test('ends every session, this one too, and starts a new one', async (t) => {
    const phone = await signUp(server, { username: 'ada' })
    const laptop = await signIn(server, 'ada')
    const grace = await signUp(server)

    const next = (await change(laptop)).json()

    for (const tokens of [phone, laptop]) await assertOver(t, server, tokens)
    t.equal((await server.inject({ url: '/secret', headers: bearer(next.access_token) })).statusCode, 200)
    t.equal((await laptop.refresh(next.refresh_token)).statusCode, 200)
    t.strictSame(Object.keys(next), ['access_token', 'refresh_token', 'token_type', 'expires_in', 'refresh_token_expires_in'])
    t.equal((await grace.inject({ url: '/secret' })).statusCode, 200)
  })

  t.test('asks for the current password', async (t) => {
    const ada = await signUp(server)
    const before = await stored(server)

    const response = await change(ada, NEW_PASSWORD, 'not the password')

    assertRefused(t, response, 403, 'wrong_password')
    t.strictSame(await stored(server), before)
  })

  t.test('refuses a weak new password', async (t) => {
    const ada = await signUp(server, { username: 'ada-lovelace', email: 'countess@example.com' })
    await ada.inject({ method: 'PATCH', url: '/auth/me', payload: { name: 'Augusta Ada King' } })
    const before = await stored(server)

    for (const password of ['umbrel1', 'password1', 'ADA-lovelace', 'countess', 'countess@example.com', 'augusta ada king']) {
      assertRefused(t, await change(ada, password), 422, 'weak_password')
    }
    t.strictSame(await stored(server), before)
  })

  t.test('does not tell a wrong current password by the strength of the new one', async (t) => {
    const ada = await signUp(server)

    const response = await change(ada, 'password1', 'not the password')

    assertRefused(t, response, 403, 'wrong_password')
  })

  t.test('lets one of two changes at the same moment win', async (t) => {
    const ada = await signUp(server, { username: 'ada' })
    const passwords = ['eight purple elephants', 'nine orange giraffes']

    const responses = await Promise.all(passwords.map((password) => change(ada, password)))

    const winner = responses.findIndex(({ statusCode }) => statusCode === 200)
    assertRefused(t, responses[1 - winner]!, 401, 'token_revoked')
    t.ok(await signIn(server, 'ada', passwords[winner]))
    await t.rejects(signIn(server, 'ada', passwords[1 - winner]), /invalid_credentials/)
  })

  t.test('changes nothing when the session ends while the new password is hashed', async (t) => {
    const ada = await signUp(server, { username: 'ada' })
    const laptop = await signIn(server, 'ada')

    const changing = change(ada)
    await laptop.inject({ method: 'POST', url: '/auth/logout/all' })

    assertRefused(t, await changing, 401, 'token_revoked')
    t.ok(await signIn(server, 'ada', PASSWORD))
  })

  t.test('works on a password that was hashed with other parameters', async (t) => {
    const url = databaseUrl(t)
    const ada = await signUp(await build(t, { env: { DATABASE_URL: url } }))
    const server = await build(t, { env: { DATABASE_URL: url, ARGON2_TIME_COST: '2' } })

    const response = await server.inject({
      method: 'POST',
      url: '/auth/password',
      headers: bearer(ada.access_token),
      payload: { current_password: PASSWORD, new_password: NEW_PASSWORD }
    })

    t.equal(response.statusCode, 200)
    assertList(t, (await stored(server)).users, [{ passwordHash: /^\$argon2id\$v=19\$m=1024,t=2,p=1\$/ }])
  })

  t.test('refuses an address that asks too often, and says when to come back', async (t) => {
    const server = await build(t, { env: { RATE_LIMIT: 'on', RATE_LIMIT_ADDRESS: '2/1m' } })
    const ada = await signUp(server)
    await change(ada, NEW_PASSWORD, 'not the password')

    const response = await change(ada)

    assertRefused(t, response, 429, 'rate_limited')
    t.match(response.headers['retry-after'], /^(5\d|60)$/)
  })
})

function change (person: Awaited<ReturnType<typeof signUp>>, newPassword = NEW_PASSWORD, currentPassword = PASSWORD) {
  return person.inject({ method: 'POST', url: '/auth/password', payload: { current_password: currentPassword, new_password: newPassword } })
}
