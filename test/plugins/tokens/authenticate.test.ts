import t from 'tap'
import { NO_HOLD, build, converse, signIn, signUp, signUpAdmin } from '../../helper.ts'
import type { FastifyPluginAsync } from 'fastify'

const CHALLENGE = /^Bearer error="invalid_token", error_description="[^"]+"$/

t.test('authenticate', async (t) => {
  const server = await build(t)
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { access_token: token } = await signUp(server)
  const secretWith = (authorization: string) => server.inject({ url: '/secret', headers: { authorization } })
  const overSocket = (...headers: string[]) => converse(server, 'GET /secret HTTP/1.1', 'Host: localhost', 'Connection: close', ...headers)

  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR']) {
    t.test(`reads the scheme in any case: ${scheme}`, async (t) => {
      t.equal((await secretWith(`${scheme} ${token}`)).statusCode, 200)
    })
  }

  for (const [name, header] of [
    ['no space', `Bearer${token}`],
    ['another space', `Bearer\t${token}`],
    ['two spaces', `Bearer  ${token}`],
    ['a colon', `Bearer: ${token}`],
    ['no token', 'Bearer'],
    ['an empty token', 'Bearer '],
    ['two tokens', `Bearer ${token} ${token}`],
    ['two tokens and a comma', `Bearer ${token}, Bearer ${token}`],
    ['quotes', `Bearer "${token}"`],
    ['a longer scheme', `Bearers ${token}`]
  ]) {
    t.test(`refuses a malformed header: ${name}`, async (t) => {
      const response = await secretWith(header!)

      t.equal(response.statusCode, 401)
      t.equal(response.json().code, 'invalid_token')
      t.match(response.headers['www-authenticate'], CHALLENGE)
    })
  }

  for (const header of ['Basic YWRhOnNlc2FtZQ==', 'Digest username="ada"', `Token ${token}`, token, '']) {
    t.test(`sees no token under another scheme: ${header.slice(0, 5)}`, async (t) => {
      const response = await secretWith(header)

      t.equal(response.statusCode, 401)
      t.equal(response.json().code, 'missing_token')
      t.equal(response.headers['www-authenticate'], 'Bearer')
    })
  }

  t.test('opens over a socket', async (t) => {
    t.match(await overSocket(`Authorization: Bearer ${token}`), /^HTTP\/1\.1 200 OK\r\n/)
  })

  for (const [name, first, second] of [
    ['the good one first', `Authorization: Bearer ${token}`, 'Authorization: Bearer x'],
    ['the good one last', 'Authorization: Bearer x', `Authorization: Bearer ${token}`],
    ['the same twice', `Authorization: Bearer ${token}`, `authorization: Bearer ${token}`],
    ['Bearer and Basic', `AUTHORIZATION: Bearer ${token}`, 'Authorization: Basic YWRhOnNlc2FtZQ==']
  ]) {
    t.test(`refuses two Authorization headers: ${name}`, async (t) => {
      const answer = await overSocket(first!, second!)

      t.match(answer, /^HTTP\/1\.1 401 Unauthorized\r\n/)
      t.equal(answer.match(/^www-authenticate: /gim)?.length, 1)
      t.match(answer, '"code":"invalid_token"')
    })
  }

  t.test('looks for the token nowhere else', async (t) => {
    const headers = { cookie: `access_token=${token}`, 'x-access-token': token, 'proxy-authorization': `Bearer ${token}` }

    const response = await server.inject({ url: '/secret', query: { access_token: token }, headers })

    t.equal(response.statusCode, 401)
    t.equal(response.json().code, 'missing_token')
  })
})

t.test('ACCESS_TOKEN_HEADER', async (t) => {
  const server = await build(t, { env: { ACCESS_TOKEN_HEADER: 'X-Access-Token' } })
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { access_token: token, refresh_token: refreshToken } = await signUp(server)
  const secretWith = (headers: Record<string, string>) => server.inject({ url: '/secret', headers })

  t.test('names a header for the bare token', async (t) => {
    t.equal((await secretWith({ 'x-access-token': token })).statusCode, 200)
  })

  t.test('leaves the Authorization header as it was', async (t) => {
    t.equal((await secretWith({ authorization: `Bearer ${token}` })).statusCode, 200)
  })

  for (const value of [`Bearer ${token}`, refreshToken, '', ` ${token}`]) {
    t.test(`takes nothing but a bare access token: "${value.slice(0, 8)}"`, async (t) => {
      const response = await secretWith({ 'x-access-token': value })

      t.equal(response.statusCode, 401)
      t.match(response.headers['www-authenticate'], CHALLENGE)
    })
  }

  t.test('refuses a token in both headers', async (t) => {
    const response = await secretWith({ authorization: `Bearer ${token}`, 'x-access-token': token })

    t.equal(response.statusCode, 401)
    t.equal(response.json().code, 'invalid_token')
  })

  t.test('refuses a header that is sent twice', async (t) => {
    const header = `X-Access-Token: ${token}`

    const answer = await converse(server, 'GET /secret HTTP/1.1', 'Host: localhost', 'Connection: close', header, header)

    t.match(answer, /^HTTP\/1\.1 401 /)
    t.match(answer, '"code":"invalid_token"')
  })

  t.test('logs out, too', async (t) => {
    const { access_token: token } = await signUp(server)

    const response = await server.inject({ method: 'POST', url: '/auth/logout', headers: { 'x-access-token': token } })

    t.equal(response.statusCode, 204)
    t.equal((await secretWith({ 'x-access-token': token })).statusCode, 401)
  })
})

t.test('requireRole', async (t) => {
  const routes: FastifyPluginAsync = async (fastify) => {
    fastify.get('/drafts', { onRequest: fastify.requireRole('editor') }, async ({ user }) => user.sub)
  }
  const server = await build(t, { routes })
  const ada = await signUp(server, { username: 'ada' })
  const admin = await signUpAdmin(server)

  t.test('lets nobody in without a token', async (t) => {
    const response = await server.inject({ url: '/drafts' })

    t.equal(response.statusCode, 401)
    t.equal(response.headers['www-authenticate'], 'Bearer')
  })

  t.test('lets nobody in without the role, an administrator neither', async (t) => {
    for (const person of [ada, admin]) {
      const response = await person.inject({ url: '/drafts' })

      t.equal(response.statusCode, 403)
      t.equal(response.json().code, 'forbidden')
      t.match(response.headers['www-authenticate'], /^Bearer error="insufficient_scope", error_description="[^"]+"$/)
    }
  })

  t.test('lets in who has the role', async (t) => {
    await server.db.users.update(ada.user.id, { roles: ['reader', 'editor'] }, NO_HOLD)
    const editor = await signIn(server, 'ada')

    const response = await editor.inject({ url: '/drafts' })

    t.equal(response.statusCode, 200)
    t.equal(response.body, ada.user.id)
  })
})
