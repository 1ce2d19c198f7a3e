import t from 'tap'
import { PASSWORD, assertRefused, build, signUp } from '../../helper.ts'

t.test('A form', async (t) => {
  const server = await build(t)
  const { refresh_token: refreshToken } = await signUp(server, { username: 'ada', email: 'ada@example.com' })
  const post = (url: string, payload: string) => server.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/x-www-form-urlencoded' } })
  const password = encodeURIComponent(PASSWORD)

  t.test('is taken as JSON is', async (t) => {
    t.equal((await post('/auth/register', `username=bea&email=bea%40example.com&name=Bea+B.&password=${password}`)).json().user.name, 'Bea B.')
    t.equal((await post('/auth/login', `email=ada%40example.com&password=${password.replaceAll('%20', '+')}`)).statusCode, 200)
    t.equal((await post('/auth/refresh', `refresh_token=${refreshToken}`)).statusCode, 200)
  })

  t.test('may name its character set', async (t) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' }

    t.equal((await server.inject({ method: 'POST', url: '/auth/login', payload: `username=ada&password=${password}`, headers })).statusCode, 200)
  })

  for (const [name, payload] of [
    ['a field twice', `username=ada&username=bea&password=${password}`],
    ['a list', `username[]=ada&password=${password}`],
    ['an object', `username[$ne]=x&password=${password}`],
    ['an unknown field', `username=ada&password=${password}&admin=true`],
    ['a prototype', `username=ada&password=${password}&__proto__=x`],
    ['a prototype\'s field', `username=ada&password=${password}&__proto__[admin]=true`],
    ['a constructor', `username=ada&password=${password}&constructor=x`],
    ['a NUL', `username=ada%00&password=${password}`],
    ['no password', 'username=ada'],
    ['nothing', ''],
    ['JSON', `{"username":"ada","password":"${PASSWORD}"}`]
  ]) {
    t.test(`with ${name} is refused as it would be in JSON`, async (t) => {
      const response = await post('/auth/login', payload!)

      t.equal(response.statusCode, 400)
      t.equal(response.json().code, 'validation_failed')
    })
  }
})

t.test('An empty body', async (t) => {
  const server = await build(t)

  for (const type of ['application/json', 'application/json; charset=utf-8']) {
    t.test(`counts as no body, with the type ${type} too`, async (t) => {
      const headers = { 'content-type': type }

      const { inject } = await signUp(server)
      t.equal((await inject({ method: 'POST', url: '/auth/logout', headers, payload: '' })).statusCode, 204)
      assertRefused(t, await server.inject({ method: 'POST', url: '/auth/logout', headers, payload: '' }), 401, 'missing_token')
      assertRefused(t, await server.inject({ method: 'POST', url: '/auth/login', headers, payload: '' }), 400, 'validation_failed')
      assertRefused(t, await server.inject({ method: 'POST', url: '/auth/login', headers, payload: ' ' }), 400, 'invalid_json')
    })
  }
})

t.test('A body', async (t) => {
  const server = await build(t)
  const register = (payload: string | object, type = 'application/json') => server.inject({ method: 'POST', url: '/auth/register', payload, headers: { 'content-type': type } })

  for (const [name, payload] of [
    ['broken', '{"username":'],
    ['poisoned', '{"username":"ada","password":"seven yellow umbrellas","__proto__":{"admin":true}}'],
    ['poisoned otherwise', '{"username":"ada","password":"seven yellow umbrellas","constructor":{"prototype":{}}}']
  ]) {
    t.test(`that is ${name} is invalid_json`, async (t) => {
      const response = await register(payload!)

      assertRefused(t, response, 400, 'invalid_json')
    })
  }

  for (const type of ['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'nonsense']) {
    t.test(`that is neither JSON nor a form is refused: ${type}`, async (t) => {
      const response = await register('{}', type)

      assertRefused(t, response, 415, 'unsupported_media_type')
    })
  }

  t.test('that is too large is refused', async (t) => {
    const response = await register({ username: 'ada', password: 'x'.repeat(16 * 1024) })

    assertRefused(t, response, 413, 'body_too_large')
  })
})
