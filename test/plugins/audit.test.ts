import t from 'tap'
import { PASSWORD, assertList, assertRefused, basic, build, buildShared, claimsOf, createClock, createLog, signIn, signUp, signUpAdmin } from '../helper.ts'

const AGENT = 'A browser '.repeat(20)

const clock = createClock()
const log = createLog()
const server = await buildShared(t, { env: { AUDIT_REFRESHES: 'on' }, now: clock.now, logger: log.logger })

function events ({ db } = server) {
  return [...db.audit.walk()]
}

/** What has been added to the audit log by a deed. */
async function addedBy (deed: () => Promise<unknown>) {
  const before = events().length
  await deed()
  return events().slice(before)
}

const post = (url: string, payload: object, headers = {}) => server.inject({ method: 'POST', url, payload, headers: { 'user-agent': AGENT, 'x-request-id': 'request-1', ...headers } })

t.test('The audit log tells', async (t) => {
  t.test('who did what, to whom, when and from where', async (t) => {
    const added = await addedBy(() => post('/auth/register', { username: 'ada', password: PASSWORD }))

    const user = await server.db.users.find('ada')
    const [session] = await server.db.sessions.list(user!.id, 0)
    assertList(t, added, [{
      at: clock.now(),
      event: 'registered',
      outcome: 'done',
      actorKind: 'user',
      actorId: user?.id,
      subject: user?.id,
      session: session?.id,
      target: null,
      ip: '127.0.0.1',
      userAgent: AGENT.slice(0, 128),
      requestId: 'request-1',
      details: null
    }])
  })

  t.test('what people do to their own accounts', async (t) => {
    const { user: { id }, ...ada } = await signUp(server, { username: 'ada' })
    const { sid } = claimsOf(ada.access_token)
    const mine = { actorKind: 'user', actorId: id, subject: id }
    const added = await addedBy(async () => {
      const second = await signIn(server, 'ada')
      const third = await signIn(server, 'ada')
      await ada.refresh()
      await second.inject({ method: 'DELETE', url: `/auth/sessions/${claimsOf(third.access_token).sid}` })
      await post('/auth/logout', { refresh_token: second.refresh_token })
      await ada.inject({ method: 'PATCH', url: '/auth/me', payload: { name: 'Ada Lovelace' } })
      await ada.inject({ method: 'POST', url: '/auth/password', payload: { current_password: PASSWORD, new_password: 'eight purple elephants' } })
      await ada.inject({ method: 'POST', url: '/auth/logout/all' })
      const last = await signIn(server, 'ada', 'eight purple elephants')
      await last.inject({ method: 'DELETE', url: '/auth/me', payload: { password: 'eight purple elephants' } })
    })

    assertList(t, added, [
      { ...mine, event: 'signed_in' },
      { ...mine, event: 'signed_in' },
      { ...mine, event: 'refreshed', outcome: 'rotated', session: sid },
      { ...mine, event: 'logged_out', session: added[1]?.session },
      { ...mine, event: 'logged_out', session: added[0]?.session },
      { ...mine, event: 'account_changed', details: { fields: ['name'] } },
      { ...mine, event: 'password_changed', session: sid },
      { ...mine, event: 'logged_out', session: null, details: { sessions: 1 } },
      { ...mine, event: 'signed_in' },
      { ...mine, event: 'account_deleted' }
    ])
  })

  t.test('what is refused: passwords, disabled accounts, tokens used twice', async (t) => {
    const { user: { id }, ...ada } = await signUp(server, { username: 'ada' })
    const added = await addedBy(async () => {
      await post('/auth/login', { username: 'ada', password: 'not the password' })
      await post('/auth/login', { username: PASSWORD, password: 'ada' })
      await ada.inject({ method: 'DELETE', url: '/auth/me', payload: { password: 'not the password' } })
      await ada.refresh()
      clock.advance(60)
      await ada.refresh()
      await server.db.users.update(id, { disabled: true })
      await post('/auth/login', { username: 'ada', password: PASSWORD })
    })

    assertList(t, added, [
      { event: 'sign_in_refused', outcome: 'invalid_credentials', actorKind: 'anonymous', actorId: null, subject: id, requestId: 'request-1' },
      { event: 'sign_in_refused', outcome: 'invalid_credentials', actorKind: 'anonymous', actorId: null, subject: null, requestId: 'request-1' },
      { event: 'password_refused', outcome: 'wrong_password', actorKind: 'user', actorId: id, subject: id },
      { event: 'refreshed' },
      { event: 'reuse_detected', outcome: 'token_revoked', actorKind: 'anonymous', subject: id, session: claimsOf(ada.access_token).sid, details: { generation: 0, current: 1 } },
      { event: 'sign_in_refused', outcome: 'account_disabled', actorKind: 'anonymous', subject: id }
    ])
  })

  t.test('that a sign-in came too late, because the account changed while the password was checked', async (t) => {
    await signUp(server, { username: 'ada' })
    const user = (await server.db.users.find('ada'))! // she has just signed up
    await server.db.users.changePassword(user, 'another hash', '', clock.now() + 1)

    const added = await addedBy(() => t.rejects(server.sessions.start(user, { ip: '192.0.2.1', id: 'r', headers: {}, log: server.log } as never), { code: 'invalid_credentials' }))

    assertList(t, added, [{ event: 'sign_in_refused', outcome: 'invalid_credentials', subject: user.id, userAgent: null }])
  })

  t.test('that a password changed while it was checked', async (t) => {
    const { user: { id }, ...ada } = await signUp(server, { username: 'ada' })
    const change = () => ada.inject({ method: 'POST', url: '/auth/password', payload: { current_password: PASSWORD, new_password: 'eight purple elephants' } })

    const added = await addedBy(() => Promise.all([change(), change()]))

    assertList(t, added, [{ event: 'password_changed', subject: id }, { event: 'password_refused', outcome: 'wrong_password', subject: id }])
  })

  t.test('what administrators do', async (t) => {
    const admin = await signUpAdmin(server, 'root')
    const { user: { id } } = await signUp(server)
    const added = await addedBy(async () => {
      await admin.inject({ method: 'PATCH', url: `/users/${id}`, payload: { roles: ['editor'] } })
      await admin.inject({ method: 'PATCH', url: `/users/${id}`, payload: { roles: ['editor'], name: 'Ed' } })
      await admin.inject({ method: 'POST', url: `/users/${id}/logout` })
      await admin.inject({ method: 'DELETE', url: `/users/${id}` })
      await admin.inject({ method: 'DELETE', url: `/users/${id}` })
    })

    const his = { actorKind: 'user', actorId: admin.user.id, subject: id }
    assertList(t, added, [
      { ...his, event: 'account_changed', details: { fields: ['roles'], roles: ['editor'], endsSessions: true } },
      { ...his, event: 'account_changed', details: { fields: ['roles', 'name'], endsSessions: false } },
      { ...his, event: 'logged_out', details: { sessions: 0 } },
      { ...his, event: 'account_deleted' }
    ])
  })

  t.test('what clients revoke, and that they come and go', async (t) => {
    const { user: { id }, ...ada } = await signUp(server)
    const { jti, sid } = claimsOf(ada.access_token)
    const added = await addedBy(async () => {
      const secret = await server.clients.create('gateway')
      await server.clients.create('gateway')
      for (const token of [ada.access_token, ada.refresh_token, ada.refresh_token, 'nonsense']) await post('/oauth/revoke', { token }, basic('gateway', secret!))
      await server.clients.remove('gateway')
      await server.clients.remove('gateway')
    })

    const its = { actorKind: 'client', actorId: 'gateway', subject: id, session: sid }
    assertList(t, added, [
      { event: 'client_created', actorKind: 'cli', target: 'gateway' },
      { ...its, event: 'revoked', target: jti },
      { ...its, event: 'revoked', target: null },
      { event: 'client_deleted', actorKind: 'cli', target: 'gateway' }
    ])
  })

  t.test('that keys are added and burnt', async (t) => {
    let kid = ''
    const added = await addedBy(async () => {
      kid = await server.keys.rotate()
      await server.keys.burn(kid, 'cli')
      await server.keys.burn(kid, 'cli')
    })

    assertList(t, added, [
      { event: 'key_added', actorKind: 'service', target: kid, requestId: null, ip: null },
      { event: 'key_burnt', actorKind: 'cli', target: kid }
    ])
  })

  t.test('nothing that opens a door, and no names', async (t) => {
    const ada = await signUp(server, { email: 'ada@example.com' })
    const refreshed = (await ada.refresh()).json()
    await post('/auth/login', { username: 'my-secret-password', password: 'not the password' })
    await ada.inject({ method: 'PATCH', url: '/auth/me', payload: { name: 'Lovelace', username: 'countess' } })
    await ada.inject({ method: 'DELETE', url: '/auth/me', payload: { password: PASSWORD } })

    const text = JSON.stringify(events().map((event) => ({ ...event, hash: '' })))
    for (const secret of [PASSWORD, 'not the password', 'my-secret', 'argon2', 'prt_', 'eyJ', 'example.com', 'Lovelace', 'countess', refreshed.access_token.split('.')[2]]) t.notOk(text.includes(secret), secret)
  })

  t.test('the truth: its chain is whole', async (t) => {
    t.match(await server.db.audit.verify(), { events: events().length, broken: undefined })
  })
})

t.test('The log', async (t) => {
  t.test('has a line for each event that is no refusal, from the same place, and not before the commit', async (t) => {
    log.lines.length = 0
    const { user: { id }, ...ada } = await signUp(server)
    const admin = await signUpAdmin(server)
    await admin.inject({ method: 'POST', url: `/users/${id}/logout` })
    await ada.refresh()

    assertList(t, log.lines.filter(({ event }) => event), [
      { event: 'registered', user: id, by: undefined, ip: '127.0.0.1', reqId: String },
      { event: 'registered' },
      { event: 'signed_in' },
      { event: 'logged_out', user: id, by: admin.user.id, sessions: 1, outcome: 'done' },
      { event: 'refused' }
    ])
  })
})

t.test('Without AUDIT_REFRESHES=on', async (t) => {
  t.test('leaves refreshes to the log, and nothing else', async (t) => {
    const { lines, logger } = createLog()
    const server = await build(t, { env: { REFRESH_GRACE: '0s' }, logger })
    const ada = await signUp(server)

    await ada.refresh()
    await ada.refresh()

    t.same(events(server).map(({ event }) => event), ['registered', 'reuse_detected'])
    t.same(lines.flatMap(({ event = [] }) => event), ['registered', 'refreshed', 'reuse_detected', 'refused'])
  })
})

t.test('A refused sign-in', async (t) => {
  t.test('is told alike for a name that is and for one that is not', async (t) => {
    await signUp(server, { username: 'ada' })

    const [known, unknown] = await addedBy(async () => {
      for (const username of ['ada', 'eve']) assertRefused(t, await post('/auth/login', { username, password: 'not the password' }), 401, 'invalid_credentials')
    })

    t.same({ ...known, subject: null, sequence: 0, hash: '' }, { ...unknown, sequence: 0, hash: '' })
  })

  t.test('is not told when a limit turned it away', async (t) => {
    const server = await build(t, { env: { RATE_LIMIT: 'on', RATE_LIMIT_ADDRESS: '1/1m' } })
    const login = () => server.inject({ method: 'POST', url: '/auth/login', payload: { username: 'ada', password: PASSWORD } })

    assertRefused(t, await login(), 401, 'invalid_credentials')
    assertRefused(t, await login(), 429, 'rate_limited')

    t.equal(events(server).length, 1)
  })
})
