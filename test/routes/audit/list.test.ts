import t from 'tap'
import { PASSWORD, assertRefused, auditEvents, buildShared, createClock, signIn, signUp, signUpAdmin } from '../../helper.ts'

const clock = createClock()
const server = await buildShared(t, { env: { AUDIT_REFRESHES: 'on', TRUST_PROXY: '127.0.0.1' }, now: clock.now })

interface Event { sequence: number, event: string, subject: string }

async function prepare () {
  const admin = await signUpAdmin(server)
  const read = async (query: Record<string, string> = {}) => (await admin.inject({ url: '/audit', query })).json() as { events: Event[], next_cursor: string | null }
  return { admin, read }
}

t.test('GET /audit', async (t) => {
  t.test('is for administrators only', async (t) => {
    const ada = await signUp(server)

    assertRefused(t, await server.inject({ url: '/audit' }), 401, 'missing_token')
    assertRefused(t, await ada.inject({ url: '/audit' }), 403, 'forbidden')
  })

  t.test('shows events whole, the newest first', async (t) => {
    const { admin, read } = await prepare()

    const { events: [newest, before] } = await read({ limit: '2' })

    t.strictSame(newest, {
      sequence: newest?.sequence,
      at: new Date(clock.now()).toISOString(),
      event: 'signed_in',
      outcome: 'done',
      actor: { kind: 'user', id: admin.user.id },
      subject: admin.user.id,
      session: (await server.db.sessions.list(admin.user.id, 0))[0]?.id,
      target: null,
      ip: '127.0.0.1',
      user_agent: 'lightMyRequest',
      request_id: (newest as unknown as { request_id: string }).request_id,
      details: null,
      hash: (await auditEvents(server)).at(-1)?.hash.toString('hex')
    })
    t.equal(before?.sequence, newest!.sequence - 1)
  })

  t.test('gives them in pages, each of them once', async (t) => {
    const { admin, read } = await prepare()
    for (let i = 0; i < 4; i++) await signIn(server, admin.user.username)
    const query = { user: admin.user.id, limit: '2' }

    const pages = [await read(query)]
    for (let next = pages[0]?.next_cursor; next; next = pages.at(-1)?.next_cursor) pages.push(await read({ ...query, cursor: next }))

    t.same(pages.map(({ events }) => events.length), [2, 2, 2])
    const sequences = pages.flatMap(({ events }) => events.map(({ sequence }) => sequence))
    t.same(sequences, [...new Set(sequences)].sort((a, b) => b - a))
  })

  t.test('finds by account, kind, time and request', async (t) => {
    clock.advance(3600)
    const { read } = await prepare()
    const ada = await signUp(server)
    clock.advance(60)
    const since = new Date(clock.now()).toISOString()
    await ada.inject({ method: 'PATCH', url: '/auth/me', payload: { name: 'Ada' }, headers: { 'x-request-id': 'request-7' } })
    await ada.refresh()
    const user = ada.user.id
    const kinds = async (query: Record<string, string>) => (await read(query)).events.map(({ event }) => event)

    t.same(await kinds({ user }), ['account_changed', 'registered'])
    t.same(await kinds({ user, event: 'refreshed' }), ['refreshed'])
    t.same(await kinds({ user, event: 'registered' }), ['registered'])
    t.same(await kinds({ since }), ['refreshed', 'account_changed'])
    t.same(await kinds({ request_id: 'request-7' }), ['account_changed'])
    t.same(await kinds({ event: 'key_revoked' }), [])
    t.same(await kinds({ user: 'A'.repeat(22) }), [])
  })

  t.test('refuses what is no filter', async (t) => {
    const { admin } = await prepare()

    for (const query of [{ limit: '0' }, { limit: '201' }, { cursor: 'x' }, { cursor: '-1' }, { since: 'yesterday' }, { event: "'" }, { user: 'x' }, { more: 'x' }] as Array<Record<string, string>>) {
      assertRefused(t, await admin.inject({ url: '/audit', query }), 400, 'validation_failed')
    }
  })

  t.test('goes on telling of an account that is gone', async (t) => {
    const { read } = await prepare()
    const ada = await signUp(server)

    await ada.inject({ method: 'DELETE', url: '/auth/me', payload: { password: PASSWORD } })

    t.same((await read({ user: ada.user.id })).events.map(({ event }) => event), ['account_deleted', 'registered'])
  })
})
