import t from 'tap'
import { NO_HOLD, assertList, assertOver, assertRefused, build, buildShared, createClock, createLog, signIn, signUp, signUpAdmin, stored } from '../../helper.ts'

const NOBODY = 'A'.repeat(22)

const server = await buildShared(t)

t.test('/users', async (t) => {
  t.test('is for administrators only', async (t) => {
    const ada = await signUp(server)
    const before = await stored(server)

    for (const request of operations(ada.user.id)) {
      const response = await ada.inject(request)

      assertRefused(t, response, 403, 'forbidden')
      t.match(response.headers['www-authenticate'], /^Bearer error="insufficient_scope"/)
      assertRefused(t, await server.inject(request), 401, 'missing_token')
    }
    t.strictSame(await stored(server), before)
  })

  t.test('refuses an administrator who has lost the role, at the next request', async (t) => {
    const [ada, grace] = [await signUpAdmin(server), await signUpAdmin(server)]

    await ada.inject({ method: 'PATCH', url: `/users/${grace.user.id}`, payload: { roles: [] } })

    assertRefused(t, await grace.inject({ url: '/users' }), 401, 'token_revoked')
    assertRefused(t, await (await signIn(server, grace.user.username)).inject({ url: '/users' }), 403, 'forbidden')
  })

  t.test('answers 404 for an unknown account, whatever its id looks like', async (t) => {
    const admin = await signUpAdmin(server)
    const before = await stored(server)

    for (const id of [NOBODY, 'nobody', '%00', "'%20or%201=1--", '__proto__']) {
      for (const request of operations(id).slice(1)) {
        assertRefused(t, await admin.inject(request), 404, 'not_found')
      }
    }
    t.strictSame(await stored(server), before)
  })
})

t.test('GET /users', async (t) => {
  t.test('lists all accounts in the order in which they were made', async (t) => {
    const clock = createClock()
    const server = await build(t, { now: clock.now })
    const admin = await signUpAdmin(server, 'zoe')
    clock.advance(1)
    const { user: ada } = await signUp(server, { username: 'ada' })
    clock.advance(1)
    const { user: grace } = await signUp(server, { email: 'grace@example.com' })

    const response = await admin.inject({ url: '/users' })

    t.equal(response.statusCode, 200)
    t.strictSame(response.json(), { users: [admin.user, ada, grace], next_cursor: null })
  })

  t.test('shows nothing of a password', async (t) => {
    const admin = await signUpAdmin(server)

    const { body } = await admin.inject({ url: '/users' })

    t.notMatch(body, /argon2|password/i)
  })

  for (const [what, seconds] of [['made one after the other', 1], ['made in the same millisecond', 0]] as const) {
    t.test(`gives accounts ${what} in pages, each of them once`, async (t) => {
      const clock = createClock()
      const server = await build(t, { now: clock.now })
      const admin = await signUpAdmin(server)
      for (let i = 0; i < 4; i++) {
        clock.advance(seconds)
        await signUp(server)
      }

      const pages = await walk(admin, 2)

      t.strictSame(pages.map(({ length }) => length), [2, 2, 1])
      t.strictSame(pages.flat(), (await admin.inject({ url: '/users' })).json().users)
      t.equal(new Set(pages.flat().map(({ id }) => id)).size, 5)
    })
  }

  t.test('has no next page when the last one is full', async (t) => {
    const admin = await signUpAdmin(server)
    await signUp(server)

    const response = await admin.inject({ url: '/users?limit=2' })

    t.equal(response.json().users.length, 2)
    t.equal(response.json().next_cursor, null)
  })

  t.test('finds by the beginning of a username or an e-mail address, in any spelling', async (t) => {
    const admin = await signUpAdmin(server, 'zoe')
    await signUp(server, { username: 'Grace_H' })
    await signUp(server, { username: 'hopper', email: 'grace@example.com' })
    await signUp(server, { username: 'ada', email: 'lovelace@example.com' })

    const found = async (q: string) => {
      const response = await admin.inject({ url: '/users', query: { q } })
      return response.json().users.map(({ username }: { username: string }) => username).sort()
    }
    t.strictSame(await found('gra'), ['Grace_H', 'hopper'])
    t.strictSame(await found('GRACE_'), ['Grace_H'])
    t.strictSame(await found('ＧＲＡＣＥ@'), [], 'only usernames are folded from full width')
    t.strictSame(await found('grace@'), ['hopper'])
    t.strictSame(await found('lovelace@example.com'), ['ada'])
    for (const q of ['race', '%', '_', '*', "' or 1=1--", '\0', '\u{10ffff}']) t.strictSame(await found(q), [], JSON.stringify(q))
  })

  t.test('goes on with a search on the next page', async (t) => {
    const admin = await signUpAdmin(server, 'zoe')
    for (const username of ['grace1', 'ada', 'grace2', 'grace3']) await signUp(server, { username })

    const pages = await walk(admin, 2, 'grace')

    t.strictSame(pages.map(({ length }) => length), [2, 1])
    t.strictSame(pages.flat().map(({ username }) => username).sort(), ['grace1', 'grace2', 'grace3'])
  })

  t.test('refuses a query that is not as documented', async (t) => {
    const admin = await signUpAdmin(server)
    const refused: Array<[query: string, pointer: string]> = [
      ['limit=0', '/limit'], ['limit=201', '/limit'], ['limit=-1', '/limit'], ['limit=1.5', '/limit'], ['limit=ten', '/limit'],
      ['limit=1&limit=2', '/limit'], ['cursor=x', '/cursor'], [`cursor=${'='.repeat(30)}`, '/cursor'], [`q=${'x'.repeat(255)}`, '/q'],
      ['password=x', '/password'], ['__proto__=x', '/__proto__']
    ]

    for (const [query, pointer] of refused) {
      const response = await admin.inject({ url: `/users?${query}` })

      assertRefused(t, response, 400, 'validation_failed')
      t.equal(response.json().errors[0].pointer, pointer, query)
    }
  })

  t.test('takes a cursor that points nowhere for the end or the beginning', async (t) => {
    const admin = await signUpAdmin(server)

    t.equal((await admin.inject({ url: `/users?cursor=${'_'.repeat(30)}` })).json().users.length, 0)
    t.equal((await admin.inject({ url: `/users?cursor=${'A'.repeat(30)}` })).json().users.length, 1)
  })
})

t.test('GET /users/{id}', async (t) => {
  t.test('shows an account', async (t) => {
    const admin = await signUpAdmin(server)
    const { user } = await signUp(server, { username: 'ada', email: 'ada@example.com' })

    const response = await admin.inject({ url: `/users/${user.id}` })

    t.equal(response.statusCode, 200)
    t.strictSame(response.json(), user)
  })
})

t.test('PATCH /users/{id}', async (t) => {
  const changes = [
    { roles: ['editor'] },
    { disabled: true },
    { roles: ['admin'], disabled: true, username: 'countess', email: 'countess@example.com', name: 'Ada King' }
  ]
  for (const change of changes) {
    t.test(`ends the account's sessions with ${JSON.stringify(Object.keys(change))}`, async (t) => {
      const admin = await signUpAdmin(server)
      const phone = await signUp(server, { username: 'ada' })
      const laptop = await signIn(server, 'ada')

      const response = await admin.inject({ method: 'PATCH', url: `/users/${phone.user.id}`, payload: change })

      t.equal(response.statusCode, 200)
      t.strictSame(response.json(), { ...phone.user, ...change })
      for (const tokens of [phone, laptop]) await assertOver(t, server, tokens)
      t.equal((await admin.inject({ url: '/users' })).statusCode, 200)
    })
  }

  t.test('lets the account go on when neither its roles nor its state change', async (t) => {
    const admin = await signUpAdmin(server)
    const ada = await signUp(server)

    const change = { roles: [], disabled: false, username: 'countess', email: ' Countess@Example.com', name: 'Ada King' }
    const response = await admin.inject({ method: 'PATCH', url: `/users/${ada.user.id}`, payload: change })

    t.strictSame(response.json(), { ...ada.user, ...change, email: 'countess@example.com' })
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)
    t.equal((await ada.refresh()).statusCode, 200)
  })

  t.test('gives a role that the next token carries', async (t) => {
    const admin = await signUpAdmin(server)
    const { user } = await signUp(server, { username: 'ada' })

    await admin.inject({ method: 'PATCH', url: `/users/${user.id}`, payload: { roles: ['admin', 'editor'] } })

    const ada = await signIn(server, 'ada')
    t.strictSame((await server.accessTokens.verify(ada.access_token)).roles, ['admin', 'editor'])
    t.equal((await ada.inject({ url: '/users' })).statusCode, 200)
  })

  t.test('refuses sign-ins to a disabled account until it is enabled', async (t) => {
    const admin = await signUpAdmin(server)
    const { user } = await signUp(server, { username: 'ada' })

    await admin.inject({ method: 'PATCH', url: `/users/${user.id}`, payload: { disabled: true } })
    await t.rejects(signIn(server, 'ada'), /account_disabled/)
    await admin.inject({ method: 'PATCH', url: `/users/${user.id}`, payload: { disabled: false } })
    t.ok(await signIn(server, 'ada'))
  })

  t.test('refuses names of others, and changes nothing', async (t) => {
    const admin = await signUpAdmin(server)
    const { user } = await signUp(server, { username: 'ada' })
    await signUp(server, { username: 'grace', email: 'grace@example.com' })
    const before = await stored(server)

    const patch = (payload: object) => admin.inject({ method: 'PATCH', url: `/users/${user.id}`, payload })
    assertRefused(t, await patch({ username: 'Grace', roles: ['editor'] }), 409, 'username_taken')
    assertRefused(t, await patch({ email: 'GRACE@example.com', disabled: true }), 409, 'email_taken')
    t.strictSame(await stored(server), before)
  })

  t.test('refuses fields that cannot be changed', async (t) => {
    const admin = await signUpAdmin(server)
    const { user } = await signUp(server)
    const before = await stored(server)

    for (const payload of [{ id: NOBODY }, { password: 'eight purple elephants' }, { created_at: '2000-01-01T00:00:00Z' }, { roles: ['Admin'] }, {}]) {
      assertRefused(t, await admin.inject({ method: 'PATCH', url: `/users/${user.id}`, payload }), 400, 'validation_failed')
    }
    t.strictSame(await stored(server), before)
  })
})

t.test('POST /users/{id}/logout', async (t) => {
  t.test('ends every session of the account, and none of another', async (t) => {
    const admin = await signUpAdmin(server)
    const phone = await signUp(server, { username: 'ada' })
    const laptop = await signIn(server, 'ada')
    const grace = await signUp(server)

    const response = await admin.inject({ method: 'POST', url: `/users/${phone.user.id}/logout` })

    t.equal(response.statusCode, 204)
    for (const tokens of [phone, laptop]) await assertOver(t, server, tokens)
    for (const person of [admin, grace]) t.equal((await person.inject({ url: '/secret' })).statusCode, 200)
    t.ok(await signIn(server, 'ada'))
  })

  t.test('succeeds when there is none', async (t) => {
    const admin = await signUpAdmin(server)
    const ada = await signUp(server)
    await ada.inject({ method: 'POST', url: '/auth/logout' })

    const response = await admin.inject({ method: 'POST', url: `/users/${ada.user.id}/logout` })

    t.equal(response.statusCode, 204)
  })
})

t.test('DELETE /users/{id}', async (t) => {
  t.test('deletes the account, ends its sessions and keeps its names from others for a while', async (t) => {
    const admin = await signUpAdmin(server)
    const ada = await signUp(server, { username: 'ada', email: 'ada@example.com' })

    const response = await admin.inject({ method: 'DELETE', url: `/users/${ada.user.id}` })

    t.equal(response.statusCode, 204)
    await assertOver(t, server, ada)
    assertRefused(t, await admin.inject({ url: `/users/${ada.user.id}` }), 404, 'not_found')
    await t.rejects(signUp(server, { username: 'ada' }), /username_taken/)
  })
})

t.test('the last administrator', async (t) => {
  const requests = [
    { method: 'PATCH', payload: { roles: [] } },
    { method: 'PATCH', payload: { roles: ['editor'] } },
    { method: 'PATCH', payload: { disabled: true } },
    { method: 'DELETE' }
  ] as const
  for (const request of requests) {
    t.test(`stays one, against ${JSON.stringify(request)}`, async (t) => {
      const admin = await signUpAdmin(server)
      const { user: disabledAdmin } = await signUpAdmin(server)
      await server.db.users.update(disabledAdmin.id, { disabled: true }, NO_HOLD)
      const before = await stored(server)

      const response = await admin.inject({ ...request, url: `/users/${admin.user.id}` })

      assertRefused(t, response, 409, 'last_admin')
      t.strictSame(await stored(server), before)
      t.equal((await admin.inject({ url: '/users' })).statusCode, 200)
    })

    t.test(`may go when another remains, by ${JSON.stringify(request)}`, async (t) => {
      const [admin, other] = [await signUpAdmin(server), await signUpAdmin(server)]

      const response = await admin.inject({ ...request, url: `/users/${admin.user.id}` })

      t.ok(response.statusCode === 200 || response.statusCode === 204)
      await assertOver(t, server, admin)
      t.equal((await other.inject({ url: '/users' })).statusCode, 200)
    })
  }

  t.test('remains when two administrators demote each other at the same moment', async (t) => {
    const [ada, grace] = [await signUpAdmin(server), await signUpAdmin(server)]
    for (const admin of [ada, grace]) await admin.inject({ url: '/users' }) // a token that is new takes its time to check, and would come too late

    const responses = await Promise.all([
      ada.inject({ method: 'PATCH', url: `/users/${grace.user.id}`, payload: { roles: [] } }),
      grace.inject({ method: 'PATCH', url: `/users/${ada.user.id}`, payload: { roles: [] } })
    ])

    const [first, second] = responses.map(({ statusCode }) => statusCode).sort()
    t.equal(first, 200)
    t.ok(second === 401 || second === 409, 'whoever came second is none any more, or the last one')
    t.equal((await stored(server)).users.filter(({ roles }) => roles.includes('admin')).length, 1)
  })
})

t.test('what an administrator does', async (t) => {
  t.test('is logged with the administrator\'s id', async (t) => {
    const { logger, lines } = createLog()
    const server = await build(t, { logger })
    const admin = await signUpAdmin(server)
    const { user: { id } } = await signUp(server)
    lines.length = 0

    for (const request of operations(id)) await admin.inject(request)

    const by = admin.user.id
    assertList(t, lines.filter(({ event }) => event), [
      { event: 'account_changed', user: id, by, fields: ['name'] },
      { event: 'logged_out', user: id, by, sessions: 1 },
      { event: 'account_deleted', user: id, by }
    ])
  })
})

function operations (id: string) {
  return [
    { method: 'GET', url: '/users' },
    { method: 'GET', url: `/users/${id}` },
    { method: 'PATCH', url: `/users/${id}`, payload: { name: 'Ada King' } },
    { method: 'POST', url: `/users/${id}/logout` },
    { method: 'DELETE', url: `/users/${id}` }
  ] as const
}

type Person = Awaited<ReturnType<typeof signUp>>

/** All pages of a list. */
async function walk (admin: Person, limit: number, q?: string) {
  const pages: Array<Array<Person['user']>> = []
  let cursor: string | undefined
  do {
    const response = await admin.inject({ url: '/users', query: { limit: String(limit), ...q && { q }, ...cursor && { cursor } } })
    const { users, next_cursor: next } = response.json()
    pages.push(users)
    cursor = next ?? undefined
  } while (cursor)
  return pages
}
