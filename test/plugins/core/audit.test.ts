import t from 'tap'
import { NO_HOLD, PASSWORD, assertList, assertRefused, auditEvents, basic, bearer, build, buildShared, claimsOf, createClock, createLog, signIn, signUp, signUpAdmin } from '../../helper.ts'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface AuditEventNames { mail_sent: true, mail_opened: true }
}

const AGENT = 'A browser '.repeat(20)

const clock = createClock()
const log = createLog()
const server = await buildShared(t, { env: { AUDIT_REFRESHES: 'on', TRUST_PROXY: '127.0.0.1' }, now: clock.now, logger: log.logger })

const events = (of = server) => auditEvents(of)

/** The events that `work` adds to the audit log. */
async function addedBy (work: () => Promise<unknown>) {
  const before = (await events()).length
  await work()
  return (await events()).slice(before)
}

const post = (url: string, payload: object, headers = {}) => server.inject({ method: 'POST', url, payload, headers: { 'user-agent': AGENT, 'x-request-id': 'request-1', ...headers } })

t.test('The audit log records', async (t) => {
  t.test('who did what, to whom, when and from where', async (t) => {
    const added = await addedBy(() => post('/auth/register', { username: 'ada', password: PASSWORD }))

    const user = await server.accounts.findByLogin('ada')
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
    const byAda = { actorKind: 'user', actorId: id, subject: id }
    const added = await addedBy(async () => {
      const second = await signIn(server, 'ada')
      const third = await signIn(server, 'ada')
      await ada.refresh()
      await second.inject({ method: 'DELETE', url: `/auth/sessions/${claimsOf(third.access_token).sid}` })
      await post('/auth/logout', { refresh_token: second.refresh_token })
      await ada.inject({ method: 'PATCH', url: '/auth/me', payload: { name: 'Ada Lovelace' } })
      const changed = await ada.inject({ method: 'POST', url: '/auth/password', payload: { current_password: PASSWORD, new_password: 'eight purple elephants' } })
      await server.inject({ method: 'POST', url: '/auth/logout/all', headers: bearer(changed.json().access_token) })
      const last = await signIn(server, 'ada', 'eight purple elephants')
      await last.inject({ method: 'DELETE', url: '/auth/me', payload: { password: 'eight purple elephants' } })
    })

    assertList(t, added, [
      { ...byAda, event: 'signed_in' },
      { ...byAda, event: 'signed_in' },
      { ...byAda, event: 'refreshed', outcome: 'rotated', session: sid },
      { ...byAda, event: 'logged_out', session: added[1]?.session },
      { ...byAda, event: 'logged_out', session: added[0]?.session },
      { ...byAda, event: 'account_changed', details: { fields: ['name'] } },
      { ...byAda, event: 'password_changed', session: /./ },
      { ...byAda, event: 'logged_out', session: null, details: { sessions: 1 } },
      { ...byAda, event: 'signed_in' },
      { ...byAda, event: 'account_deleted' }
    ])
  })

  t.test('refusals: of passwords, of disabled accounts, of tokens used twice', async (t) => {
    const { user: { id }, ...ada } = await signUp(server, { username: 'ada' })
    const added = await addedBy(async () => {
      await post('/auth/login', { username: 'ada', password: 'not the password' })
      await post('/auth/login', { username: PASSWORD, password: 'ada' })
      await ada.inject({ method: 'DELETE', url: '/auth/me', payload: { password: 'not the password' } })
      await ada.refresh()
      clock.advance(60)
      await ada.refresh()
      await server.db.users.update(id, { disabled: true }, NO_HOLD)
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
    const user = (await server.accounts.findByLogin('ada'))! // she has just signed up
    await server.db.users.setPassword(user.id, 'another hash', clock.now() + 1)

    const added = await addedBy(() => t.rejects(server.sessions.start(user, { ip: '192.0.2.1', id: 'r', headers: {}, log: server.log } as never), { code: 'invalid_credentials' }))

    assertList(t, added, [{ event: 'sign_in_refused', outcome: 'invalid_credentials', subject: user.id, userAgent: null }])
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

    const byAdmin = { actorKind: 'user', actorId: admin.user.id, subject: id }
    assertList(t, added, [
      { ...byAdmin, event: 'account_changed', details: { fields: ['roles'], roles: ['editor'], endsSessions: true } },
      { ...byAdmin, event: 'account_changed', details: { fields: ['roles', 'name'], endsSessions: false } },
      { ...byAdmin, event: 'logged_out', details: { sessions: 0 } },
      { ...byAdmin, event: 'account_deleted' }
    ])
  })

  t.test('what clients revoke, and that clients are made and deleted', async (t) => {
    const { user: { id }, ...ada } = await signUp(server)
    const { jti, sid } = claimsOf(ada.access_token)
    const added = await addedBy(async () => {
      const secret = await server.apiClients.create('gateway')
      await server.apiClients.create('gateway')
      for (const token of [ada.access_token, ada.refresh_token, ada.refresh_token, 'nonsense']) await post('/oauth/revoke', { token }, basic('gateway', secret!))
      await server.apiClients.remove('gateway')
      await server.apiClients.remove('gateway')
    })

    const byClient = { actorKind: 'client', actorId: 'gateway', subject: id, session: sid }
    assertList(t, added, [
      { event: 'client_created', actorKind: 'cli', target: 'gateway' },
      { ...byClient, event: 'revoked', target: jti },
      { ...byClient, event: 'revoked', target: null },
      { event: 'client_deleted', actorKind: 'cli', target: 'gateway' }
    ])
  })

  t.test('that keys are added and revoked', async (t) => {
    let kid = ''
    const added = await addedBy(async () => {
      kid = await server.signingKeys.rotate()
      await server.signingKeys.revoke(kid, 'cli')
      await server.signingKeys.revoke(kid, 'cli')
    })

    assertList(t, added, [
      { event: 'key_added', actorKind: 'service', target: kid, requestId: null, ip: null },
      { event: 'key_revoked', actorKind: 'cli', target: kid }
    ])
  })

  t.test('no secrets, and no names', async (t) => {
    const ada = await signUp(server, { email: 'ada@example.com' })
    const refreshed = (await ada.refresh()).json()
    await post('/auth/login', { username: 'my-secret-password', password: 'not the password' })
    await ada.inject({ method: 'PATCH', url: '/auth/me', payload: { name: 'Lovelace', username: 'countess' } })
    await ada.inject({ method: 'DELETE', url: '/auth/me', payload: { password: PASSWORD } })

    const text = JSON.stringify((await events()).map((event) => ({ ...event, hash: '' })))
    for (const secret of [PASSWORD, 'not the password', 'my-secret', 'argon2', 'prt_', 'eyJ', 'example.com', 'Lovelace', 'countess', refreshed.access_token.split('.')[2]]) t.notOk(text.includes(secret), secret)
  })

  t.test('a chain of hashes that is whole', async (t) => {
    t.match(await server.db.audit.verify(), { events: (await events()).length, broken: undefined })
  })
})

t.test('The log', async (t) => {
  t.test('has a line for each event that is no refusal, from the same place', async (t) => {
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
  t.test('records no refreshes, and logs them', async (t) => {
    const { lines, logger } = createLog()
    const server = await build(t, { env: { REFRESH_GRACE: '0s' }, logger })
    const ada = await signUp(server)

    await ada.refresh()
    await ada.refresh()

    t.same((await events(server)).map(({ event }) => event), ['registered', 'reuse_detected'])
    t.same(lines.flatMap(({ event = [] }) => event), ['registered', 'refreshed', 'reuse_detected', 'refused'])
  })
})

t.test('A refused sign-in', async (t) => {
  t.test('is recorded alike for a known and for an unknown name', async (t) => {
    await signUp(server, { username: 'ada' })

    const [known, unknown] = await addedBy(async () => {
      for (const username of ['ada', 'eve']) assertRefused(t, await post('/auth/login', { username, password: 'not the password' }), 401, 'invalid_credentials')
    })

    t.same({ ...known, subject: null, sequence: 0, hash: '' }, { ...unknown, sequence: 0, hash: '' })
  })

  t.test('is not recorded when a limit refused it', async (t) => {
    const server = await build(t, { env: { RATE_LIMIT: 'on', RATE_LIMIT_ADDRESS: '1/1m' } })
    const login = () => server.inject({ method: 'POST', url: '/auth/login', payload: { username: 'ada', password: PASSWORD } })

    assertRefused(t, await login(), 401, 'invalid_credentials')
    assertRefused(t, await login(), 429, 'rate_limited')

    t.equal((await events(server)).length, 1)
  })
})

t.test('The log of a new service holds nothing', async (t) => {
  const { auditLog } = await build(t)

  t.same(await auditLog.list({ limit: 10 }), { events: [] })
  t.same(await auditLog.list({ limit: 10, since: 0 }), { events: [] })
  t.match(await auditLog.verify(), { events: 0, hasHead: true, broken: undefined })
})

t.test('A listener that throws is logged, and what it heard of is answered all the same', async (t) => {
  const { lines, logger } = createLog()
  const server = await build(t, {
    logger,
    routes: async ({ audit }) => { audit.subscribe(({ event }) => { if (event === 'logged_out') throw new Error('a broken listener') }) }
  })
  const ada = await signUp(server)

  const response = await ada.inject({ method: 'POST', url: '/auth/logout' })

  t.equal(response.statusCode, 204)
  t.match(lines.find(({ level }) => level === 50), { event: 'logged_out', err: { message: 'a broken listener' }, msg: /listener/ })
})

t.test('A feature', async (t) => {
  const { lines, logger } = createLog()
  const heard: Array<Promise<unknown>> = []
  const routes: FastifyPluginAsync = async ({ audit, db }) => {
    audit.addEvents({ mail_sent: { level: 'warn', message: 'a mail was sent', target: 'mail' } })
    audit.subscribe((event) => {
      const isStored = auditEvents({ db }).then((events) => events.some(({ requestId }) => requestId === event.requestId))
      heard.push(isStored.then((isStored) => ({ ...event, isStored })))
    })
  }
  const server = await build(t, { logger, routes })
  t.beforeEach(() => { heard.length = 0 })

  t.test('records an event of its own, which is logged as it says', async (t) => {
    await server.audit.record('service', { event: 'mail_sent', target: 'mail 1', details: { attempts: 2 } })

    assertList(t, await events(server), [{ event: 'mail_sent', outcome: 'done', actorKind: 'service', target: 'mail 1', details: { attempts: 2 } }])
    t.match(lines.at(-1), { level: 40, event: 'mail_sent', mail: 'mail 1', attempts: 2, msg: 'a mail was sent' })
  })

  t.test('records an event that it has not added, and logs nothing', async (t) => {
    const before = lines.length

    await server.audit.record('service', { event: 'mail_opened', target: 'mail 1' })

    t.match((await events(server)).at(-1), { event: 'mail_opened', target: 'mail 1' })
    t.equal(lines.length, before)
  })

  t.test('hears of every event, once it is on disk', async (t) => {
    const response = await server.inject({ method: 'POST', url: '/auth/register', payload: { username: 'ada', password: PASSWORD } })

    assertList(t, await Promise.all(heard), [{ event: 'registered', subject: response.json().user.id, isStored: true }])
  })

  t.test('hears of a refresh that is not recorded', async (t) => {
    const ada = await signIn(server, 'ada')

    await ada.refresh()

    assertList(t, await Promise.all(heard), [{ event: 'signed_in' }, { event: 'refreshed', outcome: 'rotated', isStored: false }])
  })

  t.test('hears of nothing that was undone', async (t) => {
    const response = await server.inject({ method: 'POST', url: '/auth/register', payload: { username: 'ada', password: PASSWORD } })

    assertRefused(t, response, 409, 'username_taken')
    t.same(heard, [])
  })
})
