import t from 'tap'
import { build } from '../../helper.ts'

t.test('A known address', async (t) => {
  const server = await build(t)

  for (const [url, allow] of [
    ['/', 'GET, HEAD'],
    ['/auth/login', 'POST'],
    ['/auth/me', 'DELETE, GET, HEAD, PATCH'],
    ['/auth/sessions/wK3l0aTqW4m1xJZr8bYcVg', 'DELETE'],
    ['/secret', 'GET, HEAD'],
    ['/users/wK3l0aTqW4m1xJZr8bYcVg', 'DELETE, GET, HEAD, PATCH'],
    ['/.well-known/jwks.json', 'GET, HEAD'],
    ['/docs/json', 'GET, HEAD']
  ] as const) {
    t.test(`answers every other method with 405, and says which it takes: ${url}`, async (t) => {
      const taken = allow.split(', ')

      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const) {
        const { statusCode, headers } = await server.inject({ method: method as 'GET', url })

        if (taken.includes(method)) t.not(statusCode, 405, method)
        else {
          t.equal(statusCode, 405, method)
          t.equal(String(headers.allow).split(', ').sort().join(', '), allow, method)
        }
      }
    })
  }

  t.test('refuses another method before it looks at anything else', async (t) => {
    const response = await server.inject({ method: 'PUT', url: '/auth/login', payload: '{', headers: { 'content-type': 'application/json', authorization: 'Bearer x' } })

    t.equal(response.statusCode, 405)
    t.match(response.headers['content-type'], /^application\/problem\+json/)
    t.match(response.json(), { status: 405, code: 'method_not_allowed', detail: 'This address takes other methods: POST.' })
  })

  t.test('answers HEAD as GET, without a body', async (t) => {
    const response = await server.inject({ method: 'HEAD', url: '/health/live' })

    t.equal(response.statusCode, 200)
    t.equal(response.body, '')
  })
})

t.test('An unknown address', async (t) => {
  t.test('answers 404 to any method', async (t) => {
    const server = await build(t)

    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD'] as const) {
      for (const url of ['/nowhere', '/auth', '/auth/login/', '/Secret']) t.equal((await server.inject({ method, url })).statusCode, 404, `${method} ${url}`)
    }
  })
})
