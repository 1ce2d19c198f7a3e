import { Type } from 'typebox'
import t from 'tap'
import { PASSWORD, assertRefused, build, signUp, signUpAdmin } from '../../helper.ts'
import type { FastifyPluginAsync } from 'fastify'

t.test('A body', async (t) => {
  const server = await build(t)
  const post = (url: string, payload: string | object) => server.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json' } })
  const register = (payload: string | object) => post('/auth/register', payload)
  const errorsOf = async (url: string, payload: string | object) => {
    const response = await post(url, payload)
    assertRefused(t, response, 400, 'validation_failed')
    return response.json().errors
  }

  t.test('that is not as documented is answered with a pointer (RFC 6901) to each fault, and a plain sentence', async (t) => {
    t.strictSame(await errorsOf('/auth/register', { username: 5, email: 'bell\u0007@example.com', name: '', is_admin: 1 }), [
      { pointer: '/password', detail: 'is missing' },
      { pointer: '/is_admin', detail: 'is not a known field' },
      { pointer: '/username', detail: 'must be string' },
      { pointer: '/email', detail: 'is not allowed here. Allowed: an e-mail address of any script; case does not matter' },
      { pointer: '/name', detail: 'is empty' },
      { pointer: '/name', detail: 'is not allowed here. Allowed: a display name: any text that can be seen, on one line' }
    ])
    t.strictSame(await errorsOf('/auth/login', { username: 'ada', password: 'x'.repeat(257) }), [{ pointer: '/password', detail: 'must have at most 256 characters' }])
    t.strictSame(await errorsOf('/auth/login', { username: 'ada', password: '' }), [{ pointer: '/password', detail: 'is empty' }])
    t.strictSame(await errorsOf('/auth/login', { username: 'ada', password: 'a\0b' }), [{ pointer: '/password', detail: 'has characters that are not allowed here' }])
  })

  t.test('that must have one of two fields is answered with both names', async (t) => {
    t.strictSame(await errorsOf('/auth/register', { password: PASSWORD }), [{ pointer: '', detail: 'must have username or email' }])
    t.strictSame(await errorsOf('/auth/login', { password: PASSWORD }), [{ pointer: '', detail: 'must have either username or email, and not both' }])
    t.strictSame(await errorsOf('/auth/login', { username: 'a', email: 'b', password: PASSWORD }), [{ pointer: '', detail: 'must have either username or email, and not both' }])
  })

  t.test('that is not there is asked for', async (t) => {
    const detail = 'Send a body. Its fields: username, email, password'

    for (const payload of ['', 'null']) t.strictSame(await errorsOf('/auth/login', payload), [{ pointer: '', detail }])
  })

  t.test('is not repeated: of unknown fields only what looks like a name is named', async (t) => {
    const keys = ['{"username":"ada","password":"secret"}', 'a/b~c', 'seven yellow umbrellas', 'hunter2', 'x'.repeat(33), '']
    const unknown = Object.fromEntries(keys.map((key) => [key, 'secret']))

    const response = await register({ username: 'ada', password: PASSWORD, adminn: true, ...unknown })

    t.strictSame(response.json().errors, [{ pointer: '/adminn', detail: 'is not a known field' }, { pointer: '', detail: 'has a field that is not known' }])
    t.notMatch(response.body, /secret|hunter2|umbrellas|xxx/)
  })

  t.test('that has more than 20 faults is answered with the first 20', async (t) => {
    const faults = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${'abcdefghij'[i % 10]}_${'x'.repeat(i / 50)}`, 0]))

    t.equal((await register(faults)).json().errors.length, 20)
  })

  t.test('that is no object is answered with a pointer to the whole', async (t) => {
    t.strictSame(await errorsOf('/auth/register', '[]'), [{ pointer: '', detail: 'must be object' }])
    t.strictSame(await errorsOf('/auth/refresh', '[]'), [{ pointer: '', detail: 'must be object' }])
  })
})

t.test('null', async (t) => {
  const server = await build(t)

  t.test('counts as absent in an optional field', async (t) => {
    const registration = await server.inject({ method: 'POST', url: '/auth/register', payload: { username: 'ada', email: null, name: null, password: PASSWORD } })
    const signIn = await server.inject({ method: 'POST', url: '/auth/login', payload: { username: 'ada', email: null, password: PASSWORD } })
    const refresh = await server.inject({ method: 'POST', url: '/auth/refresh', payload: { refresh_token: null } })

    t.equal(registration.statusCode, 201)
    t.equal(signIn.statusCode, 200)
    assertRefused(t, refresh, 401, 'missing_token')
  })

  t.test('is no value of a field that must be there', async (t) => {
    const response = await server.inject({ method: 'POST', url: '/auth/login', payload: { username: 'ada', password: null } })

    t.strictSame(response.json().errors, [{ pointer: '/password', detail: 'must be string' }])
  })

  t.test('takes away what may be null, and changes nothing else', async (t) => {
    const { inject } = await signUp(server, { username: 'bea' })
    await inject({ method: 'PATCH', url: '/auth/me', payload: { name: 'Bea B.' } })

    const response = await inject({ method: 'PATCH', url: '/auth/me', payload: { name: null, username: null } })

    t.match(response.json(), { username: 'bea', name: null })
    t.match((await inject({ method: 'PATCH', url: '/auth/me', payload: { email: null } })).json().errors, [{ pointer: '', detail: /^must have at least one of username, email, name/ }])
  })
})

t.test('A parameter of a query that is empty', async (t) => {
  t.test('counts as absent', async (t) => {
    const server = await build(t)
    const admin = await signUpAdmin(server)

    for (const url of ['/users?limit=50&cursor=&q=', '/users?limit=', '/audit?user=&event=&since=&request_id=&cursor=&limit=']) {
      t.equal((await admin.inject({ url })).statusCode, 200, url)
    }
  })
})

t.test('A route of a fork', async (t) => {
  const { Text, Loose } = {
    Text: Type.Object({ a: Type.String({ minLength: 2, format: 'date-time' }), b: Type.Optional(Type.Union([Type.Integer(), Type.Boolean()])) }),
    Loose: Type.Union([Type.Null(), Type.String()])
  }
  const routes: FastifyPluginAsync = async (fastify) => {
    fastify.post('/text', { schema: { body: Text } }, async () => 'taken')
    fastify.post('/loose', { schema: { body: Loose } }, async () => 'taken')
    fastify.post('/bare', { schema: { body: Type.String() } }, async () => 'taken')
  }
  const server = await build(t, { routes })
  const errorsOf = async (url: string, payload: object | string) =>
    (await server.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json' } })).json().errors

  t.test('gets sentences of the same kind', async (t) => {
    t.strictSame(await errorsOf('/text', { a: 'x', b: 'y' }), [
      { pointer: '/a', detail: 'must have at least 2 characters' },
      { pointer: '/a', detail: 'has characters that are not allowed here' },
      { pointer: '/b', detail: 'must be integer' },
      { pointer: '/b', detail: 'must be boolean' }
    ])
    t.strictSame(await errorsOf('/loose', '5'), [{ pointer: '', detail: 'must be string' }])
    t.strictSame(await errorsOf('/bare', 'null'), [{ pointer: '', detail: 'Send a body' }])
  })
})
