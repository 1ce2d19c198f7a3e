import t from 'tap'
import { build } from '../../helper.ts'

const APP = 'https://app.example.com'
const EVIL = 'https://evil.example.com'

t.test('CORS_ORIGIN', async (t) => {
  const server = await build(t, { env: { CORS_ORIGIN: `${APP},http://localhost:5173` } })
  const from = (origin: string, url = '/') => server.inject({ url, headers: { origin } })
  const preflight = (origin: string, url = '/secret') => server.inject({ method: 'OPTIONS', url, headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' } })

  for (const origin of [APP, 'http://localhost:5173']) {
    t.test(`lets the origins that it names read answers, refusals too: ${origin}`, async (t) => {
      for (const url of ['/', '/secret', '/nowhere']) {
        const { headers } = await from(origin, url)

        t.equal(headers['access-control-allow-origin'], origin)
        t.match(headers.vary, /\bOrigin\b/)
        t.match(headers['access-control-expose-headers'], 'www-authenticate')
        t.equal(headers['access-control-allow-credentials'], undefined)
      }
    })

    t.test(`lets the origins that it names send a token: ${origin}`, async (t) => {
      const { statusCode, headers } = await preflight(origin)

      t.equal(statusCode, 204)
      t.match(headers, {
        'access-control-allow-origin': origin,
        'access-control-allow-methods': 'GET, POST, PATCH, DELETE',
        'access-control-allow-headers': 'authorization'
      })
    })
  }

  for (const origin of [EVIL, 'null', `${APP}.evil.example`, 'https://app.example.com:8443', 'http://app.example.com', 'https://APP.example.com']) {
    t.test(`lets no other origin: ${origin}`, async (t) => {
      t.equal((await from(origin)).headers['access-control-allow-origin'], undefined)
      t.equal((await preflight(origin)).headers['access-control-allow-origin'], undefined)
      t.match((await from(origin)).headers.vary, /\bOrigin\b/)
    })
  }

  t.test('answers OPTIONS that is no preflight with 204, and allows nothing', async (t) => {
    const response = await server.inject({ method: 'OPTIONS', url: '/secret' })

    t.equal(response.statusCode, 204)
    t.equal(response.headers['access-control-allow-origin'], undefined)
  })
})
