import t from 'tap'
import { PASSWORD, databaseUrl } from './helper.ts'
import { startServer } from './processes.ts'

interface Tokens { access_token: string, refresh_token: string }

t.test('the tour, with npm start', async (t) => {
  const server = await startServer(t, { command: ['npm', 'start'], env: { DATABASE_URL: databaseUrl(t) } })

  const registered = await server.request('POST', '/auth/register', { body: { username: 'ada', password: PASSWORD } })
  const first = await registered.json() as Tokens
  t.equal(registered.status, 201)

  const opened = await server.request('GET', '/secret', { token: first.access_token })
  t.equal(opened.status, 200)
  t.same(await opened.json(), { answer: 42 })

  const refreshed = await server.request('POST', '/auth/refresh', { token: first.refresh_token })
  const second = await refreshed.json() as Tokens
  t.equal(refreshed.status, 200)
  t.not(second.access_token, first.access_token)
  t.not(second.refresh_token, first.refresh_token)
  t.equal((await server.request('GET', '/secret', { token: second.access_token })).status, 200)

  const loggedOut = await server.request('POST', '/auth/logout', { token: second.access_token })
  t.equal(loggedOut.status, 204)

  const shut = await server.request('GET', '/secret', { token: second.access_token })
  t.equal(shut.status, 401)
  t.match(shut.headers.get('www-authenticate'), /^Bearer error="invalid_token"/)
  t.match(await shut.json(), { code: 'token_revoked' })
  t.equal((await server.request('GET', '/secret', { token: first.access_token })).status, 401)
  t.equal((await server.request('POST', '/auth/refresh', { token: second.refresh_token })).status, 401)

  t.equal(await server.ends('SIGTERM'), 0)
  t.match(JSON.parse(await server.says('stopping')), { signal: 'SIGTERM' })
  await t.rejects(server.request('GET', '/health/live'))
})
