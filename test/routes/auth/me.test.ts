import t from 'tap'
import { PASSWORD, assertOver, assertRefused, bearer, build, buildShared, createClock, createLog, signIn, signUp, signUpAdmin, stored } from '../../helper.ts'

const { lines, logger } = createLog()
const server = await buildShared(t, { logger })

t.test('GET /auth/me', async (t) => {
  t.test('shows the account that the token belongs to', async (t) => {
    await signUp(server)
    const ada = await signUp(server, { username: 'ada', email: 'ada@example.com' })

    const response = await ada.inject({ url: '/auth/me' })

    t.equal(response.statusCode, 200)
    t.strictSame(response.json(), ada.user)
    t.strictSame(Object.keys(response.json()), ['id', 'username', 'email', 'name', 'roles', 'disabled', 'created_at'])
  })
})

t.test('PATCH /auth/me', async (t) => {
  t.test('changes one\'s names, and signs in by the new ones only', async (t) => {
    const ada = await signUp(server, { username: 'ada', email: 'ada@example.com' })

    const response = await change(ada, { username: 'Countess', email: ' Countess@Example.com', name: 'Ada King', password: PASSWORD })

    t.equal(response.statusCode, 200)
    const expected = { ...ada.user, username: 'Countess', email: 'countess@example.com', name: 'Ada King' }
    t.strictSame(response.json(), expected)
    t.strictSame((await ada.inject({ url: '/auth/me' })).json(), expected)
    for (const name of ['countess', 'countess@example.com']) t.ok(await signIn(server, name))
    for (const name of ['ada', 'ada@example.com']) await t.rejects(signIn(server, name), /invalid_credentials/)
  })

  t.test('leaves alone what it does not name, the sessions too', async (t) => {
    const ada = await signUp(server, { username: 'ada', email: 'ada@example.com' })

    await change(ada, { name: 'Ada King' })
    const response = await change(ada, { username: 'countess', password: PASSWORD })

    t.strictSame(response.json(), { ...ada.user, username: 'countess', name: 'Ada King' })
    t.equal((await ada.refresh()).statusCode, 200)
  })

  t.test('asks for the password where a name to sign in with changes', async (t) => {
    const ada = await signUp(server, { username: 'ada', email: 'ada@example.com' })
    const before = await stored(server)

    for (const names of [{ username: 'thief' }, { email: 'thief@example.com' }, { username: 'thief', password: 'not the password' }]) {
      assertRefused(t, await change(ada, names), 403, 'wrong_password')
    }
    t.strictSame(await stored(server), before)
    t.equal((await change(ada, { username: 'Ada', email: 'ada@example.com', name: 'Ada King' })).statusCode, 200, 'the same names need none')
  })

  t.test('gives a name that was given up to nobody else for 30 days', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now })
    const [ada, admin] = [await signUp(server, { username: 'ada', email: 'ada@example.com' }), await signUpAdmin(server)]
    const thief = await signUp(server)
    const register = (username: string) => server.inject({ method: 'POST', url: '/auth/register', payload: { username, password: PASSWORD } })
    await change(ada, { username: 'countess', email: 'countess@example.com', password: PASSWORD })

    assertRefused(t, await register('ADA'), 409, 'username_taken')
    assertRefused(t, await change(thief, { email: 'Ada@example.com', password: PASSWORD }), 409, 'email_taken')
    t.equal((await change(ada, { username: 'ada', password: PASSWORD })).statusCode, 200, 'its own account may have it')
    await change(ada, { username: 'countess', password: PASSWORD })
    const given = await admin.inject({ method: 'PATCH', url: `/users/${thief.user.id}`, payload: { email: 'ada@example.com' } })
    t.equal(given.statusCode, 200, 'an administrator may give it to anybody')
    clock.advance(30 * 86_400)
    t.equal((await register('ada')).statusCode, 201)
  })

  t.test('gives up no name to a clock that is ahead', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now, uptime: clock.uptime })
    const ada = await signUp(server, { username: 'ada' })
    await change(ada, { username: 'countess', password: PASSWORD })

    clock.set(31 * 86_400)

    assertRefused(t, await server.inject({ method: 'POST', url: '/auth/register', payload: { username: 'ada', password: PASSWORD } }), 409, 'username_taken')
  })

  t.test('takes a display name away', async (t) => {
    const ada = await signUp(server)
    await change(ada, { name: 'Ada King' })

    const response = await change(ada, { name: null })

    t.equal(response.json().name, null)
  })

  t.test('lets one spell one\'s own name in another way', async (t) => {
    const ada = await signUp(server, { username: 'ada' })

    const response = await change(ada, { username: 'ADA' })

    t.equal(response.json().username, 'ADA')
  })

  t.test('refuses names of others, in any spelling, and changes nothing', async (t) => {
    await signUp(server, { username: 'grace', email: 'grace@example.com' })
    const ada = await signUp(server)
    const before = await stored(server)

    assertRefused(t, await change(ada, { username: 'GRACE', name: 'Ada', password: PASSWORD }), 409, 'username_taken')
    assertRefused(t, await change(ada, { email: 'Grace@Example.com', name: 'Ada', password: PASSWORD }), 409, 'email_taken')
    t.strictSame(await stored(server), before)
  })

  t.test('logs the user and the fields, and not their values', async (t) => {
    const ada = await signUp(server)

    await change(ada, { email: 'ada@example.com', name: 'Ada King', password: PASSWORD })

    t.match(lines.at(-1), { event: 'account_changed', user: ada.user.id, fields: ['email', 'name'] })
    t.notMatch(JSON.stringify(lines.at(-1)), 'example.com')
  })

  t.test('refuses fields that a client may not change', async (t) => {
    const ada = await signUp(server)
    const before = await stored(server)

    for (const body of [{ roles: ['admin'] }, { disabled: false }, { id: 'A'.repeat(22) }, { username: null }, {}]) {
      assertRefused(t, await change(ada, body), 400, 'validation_failed')
    }
    t.strictSame(await stored(server), before)
  })
})

t.test('DELETE /auth/me', async (t) => {
  t.test('deletes the account, ends its sessions and keeps its names from others for a while', async (t) => {
    const phone = await signUp(server, { username: 'ada', email: 'ada@example.com' })
    const laptop = await signIn(server, 'ada')

    const response = await remove(phone)

    t.equal(response.statusCode, 204)
    for (const tokens of [phone, laptop]) await assertOver(t, server, tokens)
    await t.rejects(signIn(server, 'ada'), /invalid_credentials/)
    const again = await server.inject({ method: 'POST', url: '/auth/register', payload: { username: 'ada', password: PASSWORD } })
    assertRefused(t, again, 409, 'username_taken')
  })

  t.test('asks for the password', async (t) => {
    const ada = await signUp(server)
    const before = await stored(server)

    assertRefused(t, await remove(ada, 'not the password'), 403, 'wrong_password')
    assertRefused(t, await ada.inject({ method: 'DELETE', url: '/auth/me' }), 400, 'validation_failed')
    t.strictSame(await stored(server), before)
  })

  t.test('deletes nothing when the password was changed meanwhile', async (t) => {
    const ada = await signUp(server, { username: 'ada' })
    const change = ada.inject({ method: 'POST', url: '/auth/password', payload: { current_password: PASSWORD, new_password: 'eight purple elephants' } })
    const { remove: removeUser } = server.db.users
    t.intercept(server.db.users, 'remove', {
      async value (...args: Parameters<typeof removeUser>) {
        await change
        return removeUser(...args)
      }
    })

    const response = await remove(ada)

    assertRefused(t, response, 401, 'token_revoked')
    t.equal((await change).statusCode, 200)
    t.ok(await signIn(server, 'ada', 'eight purple elephants'))
  })

  t.test('refuses the last administrator, and only the last', async (t) => {
    const ada = await signUpAdmin(server)
    const grace = await signUpAdmin(server)

    t.equal((await remove(grace)).statusCode, 204)
    assertRefused(t, await remove(ada), 409, 'last_admin')
    t.equal((await ada.inject({ url: '/auth/me' })).statusCode, 200)
  })

  t.test('refuses even the right password after too many wrong ones', async (t) => {
    const server = await build(t, { env: { RATE_LIMIT: 'on', RATE_LIMIT_PAIR: '2/15m' }, now: createClock().now })
    const ada = await signUp(server, { username: 'ada' })
    for (let i = 0; i < 2; i++) assertRefused(t, await remove(ada, 'not the password'), 403, 'wrong_password')

    const response = await remove(ada)

    assertRefused(t, response, 429, 'rate_limited')
  })
})

t.test('/auth/me refuses a good token whose account is gone, as after a restore from an older backup', async (t) => {
  const env = { JWT_ALGORITHM: 'HS256', JWT_SECRET: 'a secret that two services share' }
  const [server, restored] = [await build(t, { env }), await build(t, { env })]
  const { access_token: token } = await signUp(server)

  for (const request of [{ method: 'GET' }, { method: 'PATCH', payload: { name: 'Ada' } }, { method: 'DELETE', payload: { password: PASSWORD } }] as const) {
    const response = await restored.inject({ ...request, url: '/auth/me', headers: bearer(token) })

    assertRefused(t, response, 401, 'token_revoked')
  }
})

type Person = Awaited<ReturnType<typeof signUp>>

function change (person: Person, payload: object) {
  return person.inject({ method: 'PATCH', url: '/auth/me', payload })
}

function remove (person: Person, password = PASSWORD) {
  return person.inject({ method: 'DELETE', url: '/auth/me', payload: { password } })
}
