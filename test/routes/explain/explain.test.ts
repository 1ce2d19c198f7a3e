import t from 'tap'
import { assertRefused, auditEvents, buildShared, claimsOf, createLog, signUp, signUpAdmin } from '../../helper.ts'

const log = createLog()
const server = await buildShared(t, { logger: log.logger })

const explain = { method: 'POST', url: '/tokens/explain' } as const

t.test('POST /tokens/explain', async (t) => {
  t.test('is for administrators only', async (t) => {
    const ada = await signUp(server)
    const request = { ...explain, payload: { token: ada.access_token } }

    assertRefused(t, await server.inject(request), 401, 'missing_token')
    assertRefused(t, await ada.inject(request), 403, 'forbidden')
  })

  t.test('says whether a token is good, whose it is, and what became of it', async (t) => {
    const admin = await signUpAdmin(server)
    const { user, access_token: token, inject } = await signUp(server)
    const { sid, jti } = claimsOf(token)
    const ids = { subject: user.id, session: sid, token_id: jti }

    t.strictSame((await admin.inject({ ...explain, payload: { token } })).json(), { reason: 'good', explanation: 'The token is good.', ...ids })
    t.match((await admin.inject({ ...explain, payload: { token, roles: ['editor'] } })).json(), { reason: 'missing_role', explanation: /editor/, ...ids })
    await inject({ method: 'POST', url: '/auth/logout' })
    t.match((await admin.inject({ ...explain, payload: { token } })).json(), { reason: 'session_over', ...ids, cause: { event: 'logged_out', actor: { kind: 'user', id: user.id } } })
  })

  t.test('refuses a body without a token', async (t) => {
    const admin = await signUpAdmin(server)

    for (const payload of [{}, { token: '' }, { token: 'x'.repeat(8193) }, { token: 'x', more: 1 }]) assertRefused(t, await admin.inject({ ...explain, payload }), 400, 'validation_failed')
  })

  t.test('keeps and logs nothing of a token', async (t) => {
    const admin = await signUpAdmin(server)
    const ada = await signUp(server)
    const tokens = [ada.access_token, ada.refresh_token, `${ada.access_token}x`]
    for (const token of tokens) t.equal((await admin.inject({ ...explain, payload: { token } })).statusCode, 200)

    const text = JSON.stringify([log.lines, (await auditEvents(server)).map((event) => ({ ...event, hash: '' }))])
    for (const token of tokens) t.notOk(text.includes(token.slice(-40)))
  })
})
