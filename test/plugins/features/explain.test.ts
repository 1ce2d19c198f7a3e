import t from 'tap'
import { PASSWORD, basic, bearer, build, buildShared, claimsOf, createClock, forge, signIn, signUp, signUpAdmin } from '../../helper.ts'
import type { Test } from 'tap'

const PASSWORDS = { current_password: PASSWORD, new_password: 'eight purple elephants' }

const clock = createClock()
const server = await buildShared(t, { now: clock.now })
const explain = server.explain.token

async function sign (t: Test) {
  const ada = await signUp(server)
  t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)
  return { ...ada, ids: { subject: ada.user.id, session: claimsOf(ada.access_token).sid } }
}

const by = (who: RegExp) => new RegExp(`: \\w+, by ${who.source}, at 202\\S+Z\\.$`)

t.test('An explanation', async (t) => {
  const stranger = await build(t, { now: clock.now })
  const { access_token: strange } = await signUp(stranger)

  t.test('says that a good token is good, and leaves it so', async (t) => {
    const { ids, ...ada } = await sign(t)

    t.match(await explain(ada.access_token), { reason: 'good', ...ids, tokenId: claimsOf(ada.access_token).jti })
    for (let i = 0; i < 2; i++) t.match(await explain(ada.refresh_token), { reason: 'good', ...ids, explanation: /good until 2026-12-/ })
    t.equal((await ada.refresh()).statusCode, 200)
  })

  t.test('says which role is missing', async (t) => {
    const ada = await sign(t)

    t.match(await explain(ada.access_token, ['admin', 'editor']), { reason: 'missing_role', explanation: /lacks the role admin, editor\.$/ })
  })

  t.test('says when a token expired', async (t) => {
    const ada = await sign(t)
    clock.advance(900)
    const time = new Date(clock.now()).toISOString()
    t.match(await explain(ada.access_token), { reason: 'expired', explanation: `The token expired at ${time}.` })

    clock.advance(30 * 86_400)
    t.match(await explain(ada.refresh_token), { reason: 'expired', explanation: /^The session of the refresh token expired at / })
  })

  t.test('says of an old refresh token where its session is, and does not end it', async (t) => {
    const { ids, ...ada } = await sign(t)
    const next = (await ada.refresh()).json()

    t.match(await explain(ada.refresh_token), { reason: 'already_used', ...ids, explanation: /is number 0 of its session, which is at 1 since / })
    t.equal((await ada.refresh(next.refresh_token)).statusCode, 200)
    t.match(await explain(server.refreshTokens.make(ids.session, 7)), { reason: 'not_as_issued', explanation: /older copy/ })
  })

  for (const [what, end, who] of [
    ['its owner logged out', (ada) => ada.inject({ method: 'POST', url: '/auth/logout' }), /user \S{22}/],
    ['its owner logged out everywhere', (ada) => ada.inject({ method: 'POST', url: '/auth/logout/all' }), /user \S{22}/],
    ['the password changed elsewhere', async ({ user }) => (await signIn(server, user.username)).inject({ method: 'POST', url: '/auth/password', payload: PASSWORDS }), /user \S{22}/],
    ['an administrator changed roles', async ({ user }) => (await signUpAdmin(server)).inject({ method: 'PATCH', url: `/users/${user.id}`, payload: { roles: ['editor'] } }), /user \S{22}/],
    ['a refresh token was used twice', async (ada) => { await ada.refresh(); clock.advance(60); await ada.refresh() }, /anonymous/],
    ['the command line ended it', ({ user }) => server.sessions.endAll(user.id, 'cli'), /cli/]
  ] as Array<[string, (ada: Awaited<ReturnType<typeof signUp>>) => Promise<unknown>, RegExp]>) {
    t.test(`says of both tokens of a session that it is over, and why: ${what}`, async (t) => {
      const { ids, ...ada } = await sign(t)
      await ada.inject({ method: 'PATCH', url: '/auth/me', payload: { name: 'Ada' } })
      await (await signIn(server, ada.user.username)).inject({ method: 'POST', url: '/auth/logout' })

      await end(ada)

      for (const token of [ada.access_token, ada.refresh_token]) t.match(await explain(token), { reason: 'session_over', session: ids.session, explanation: by(who), cause: { subject: ids.subject } })
    })
  }

  t.test('names no event from before the session began', async (t) => {
    const ada = await sign(t)
    await ada.inject({ method: 'POST', url: '/auth/logout/all' })
    const again = await signIn(server, ada.user.username)
    const admin = await signUpAdmin(server, 'root')

    await admin.inject({ method: 'POST', url: `/users/${ada.user.id}/logout` })

    t.match(await explain(again.access_token), { explanation: by(new RegExp(`user ${admin.user.id}`)) })
  })

  t.test('says that an account is disabled, or deleted', async (t) => {
    const admin = await signUpAdmin(server, 'root')
    for (const [reason, method, payload] of [['account_disabled', 'PATCH', { disabled: true }], ['account_deleted', 'DELETE', undefined]] as const) {
      const { ids, ...ada } = await sign(t)

      await admin.inject({ method, url: `/users/${ids.subject}`, payload })

      for (const token of [ada.access_token, ada.refresh_token]) t.match(await explain(token), { reason, session: ids.session, explanation: by(new RegExp(`user ${admin.user.id}`)) })
    }
  })

  t.test('says so when the audit log does not know', async (t) => {
    const ada = await sign(t)
    await server.db.sessions.endAll(ada.user.id)

    t.match(await explain(ada.access_token), { reason: 'session_over', explanation: /\(the audit log does not say why\)/, cause: undefined })
    t.match(await explain(server.refreshTokens.make('A'.repeat(22), 0)), { reason: 'session_over', cause: undefined })
  })

  t.test('knows what ended a session though the audit log has forgotten its beginning', async (t) => {
    const ada = await sign(t)
    await server.db.audit.prune(clock.now() + 1)

    await ada.inject({ method: 'POST', url: '/auth/logout/all' })

    t.match(await explain(ada.access_token), { reason: 'session_over', cause: { event: 'logged_out', session: null } })
  })

  t.test('says which client revoked a token, and that its session is over where that is so', async (t) => {
    const { ids, ...ada } = await sign(t)
    await server.apiClients.create('gateway')
    await server.apiClients.remove('gateway')
    const secret = await server.apiClients.create('gateway')
    const revoke = (token: string) => server.inject({ method: 'POST', url: '/oauth/revoke', payload: { token }, headers: basic('gateway', secret!) })

    await revoke(ada.access_token)
    t.match(await explain(ada.access_token), { reason: 'token_revoked', ...ids, explanation: by(/client gateway/), cause: { event: 'revoked' } })
    t.match(await explain(ada.refresh_token), { reason: 'good' })
    await revoke(ada.refresh_token)
    t.match(await explain(ada.refresh_token), { reason: 'session_over', explanation: by(/client gateway/) })
  })

  t.test('says that a key was revoked, or is not of this service', async (t) => {
    const ada = await sign(t)
    const bea = await signUp(server)
    const { kid } = server.signingKeys.current()
    await server.signingKeys.revoke(kid, 'cli')

    for (const token of [ada.access_token, bea.access_token]) t.match(await explain(token), { reason: 'key_revoked', explanation: by(/cli/), cause: { event: 'key_revoked', target: kid } })
    t.match(await explain(strange), { reason: 'unknown_key' })
  })

  t.test('says what is wrong with a token that this service did not issue as it is', async (t) => {
    const { access_token: token, refresh_token: refreshToken } = await sign(t)
    const [header = '', payload = '', signature = ''] = token.split('.')
    const none = `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${payload}.`
    const spaced = Buffer.from(Buffer.from(header, 'base64url').toString().replaceAll(',', ', ')).toString('base64url')
    const forged = (claims: object, header?: object) => forge(token, server.signingKeys.current().privateKey, claims, header)

    for (const [bad, reason] of [
      [forged({ iss: 'https://elsewhere.example.com' }), 'wrong_issuer'],
      [forged({ aud: 'others' }), 'wrong_audience'],
      [forged({ aud: undefined }), 'wrong_audience'],
      [forged({ iat: clock.now() / 1000 + 3600 }), 'not_yet_valid'],
      [forged({ nbf: clock.now() / 1000 + 3600 }), 'not_as_issued'],
      [forged({ nbf: clock.now() / 1000 - 3600 }), 'not_as_issued'],
      [forged({ roles: 'admin' }), 'not_as_issued'],
      [forged({}, { crit: ['exp'] }), 'not_as_issued'],
      [forged({}, { typ: 'JWT' }), 'wrong_type'],
      [forged({ iat: Number.MAX_SAFE_INTEGER }), 'not_yet_valid'],
      [forged({ iat: 1e300 }), 'not_as_issued'],
      [`${spaced}.${payload}.${signature}`, 'not_as_issued'],
      [`${header}.${payload}.${signature.replace(/^./, (first) => first === 'A' ? 'B' : 'A')}`, 'bad_signature'],
      [`${header}.${payload}.`, 'bad_signature'],
      [`${header}.${payload}`, 'bad_signature'],
      [`${header}.e30x.${signature}`, 'bad_signature'],
      ['nonsense', 'malformed'],
      [none, 'unknown_key'],
      [`${refreshToken.slice(0, -5)}AAAAA`, 'bad_signature']
    ] as const) {
      const explanation = await explain(bad)

      t.match(explanation, { reason, explanation: /\.$/, cause: undefined }, bad)
      t.equal((await server.inject({ url: '/secret', headers: bearer(bad) })).statusCode, 401)
    }
  })

  t.test('fails when the database does not answer', async (t) => {
    await stranger.db.close()

    await t.rejects(stranger.explain.token(strange))
  })
})
