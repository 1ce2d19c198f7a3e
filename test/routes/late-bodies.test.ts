import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { NO_HOLD, PASSWORD, build, signUp, signUpAdmin } from '../helper.ts'
import type { FastifyInstance } from 'fastify'
import type { AddressInfo } from 'node:net'

interface Late { method: string, url: string, body: object }

/** Sends a request of which the last byte of the body is missing. Gives a function that sends it, and reads the answer's status. */
async function begin (server: FastifyInstance, token: string, { method, url, body }: Late) {
  const { port } = server.server.address() as AddressInfo // it listens on a port
  const socket = connect(port, '127.0.0.1')
  const sent = JSON.stringify(body)
  const begun = new Promise((resolve) => server.server.once('request', resolve))
  socket.write([
    `${method} ${url} HTTP/1.1`, 'host: x', `authorization: Bearer ${token}`, 'connection: close',
    'content-type: application/json', `content-length: ${sent.length}`, '', sent.slice(0, -1)
  ].join('\r\n'))
  await begun
  return async () => {
    socket.write(sent.at(-1)!)
    return Number((await text(socket)).split(' ')[1])
  }
}

t.test('A request whose body comes late', async (t) => {
  const server = await build(t)
  await server.listen({ port: 0 })
  const keeper = await signUpAdmin(server)

  const byAdministrators: Array<(id: string) => Late> = [
    (id) => ({ method: 'PATCH', url: `/users/${id}`, body: { roles: ['admin'] } }),
    (id) => ({ method: 'DELETE', url: `/users/${id}`, body: {} }),
    (id) => ({ method: 'POST', url: `/users/${id}/logout`, body: {} }),
    () => ({ method: 'POST', url: '/tokens/explain', body: { token: 'x' } })
  ]
  for (const toRequest of byAdministrators) {
    const { method, url } = toRequest(':id')
    for (const end of ['demoted', 'deleted'] as const) {
      t.test(`is refused when its administrator was ${end} meanwhile: ${method} ${url}`, async (t) => {
        const rogue = await signUpAdmin(server)
        const accomplice = await signUp(server)
        const finish = await begin(server, rogue.access_token, toRequest(accomplice.user.id))

        if (end === 'demoted') await keeper.inject({ method: 'PATCH', url: `/users/${rogue.user.id}`, payload: { roles: [] } })
        else await keeper.inject({ method: 'DELETE', url: `/users/${rogue.user.id}` })

        t.equal(await finish(), 401)
        t.match(await server.accounts.findById(accomplice.user.id), { roles: [] })
        t.equal((await accomplice.inject({ url: '/secret' })).statusCode, 200)
      })
    }
  }

  const byThemselves: Late[] = [
    { method: 'PATCH', url: '/auth/me', body: { name: 'Ada' } },
    { method: 'DELETE', url: '/auth/me', body: { password: PASSWORD } },
    { method: 'POST', url: '/auth/password', body: { current_password: PASSWORD, new_password: 'eight purple elephants' } },
    { method: 'POST', url: '/auth/logout/all', body: {} }
  ]
  for (const request of byThemselves) {
    t.test(`is refused when its session ended meanwhile: ${request.method} ${request.url}`, async (t) => {
      const ada = await signUp(server)
      const finish = await begin(server, ada.access_token, request)

      await ada.inject({ method: 'POST', url: '/auth/logout/all' })

      t.equal(await finish(), 401)
      t.match(await server.accounts.findById(ada.user.id), { name: null })
    })
  }

  t.test('is refused by the write itself when permission goes after it was looked at', async (t) => {
    const rogue = await signUpAdmin(server)
    const accomplice = await signUp(server)
    const { update } = server.db.users
    t.intercept(server.db.users, 'update', {
      async value (...args: Parameters<typeof update>) {
        await update(rogue.user.id, { roles: [] }, NO_HOLD)
        return update(...args)
      }
    })

    const response = await rogue.inject({ method: 'PATCH', url: `/users/${accomplice.user.id}`, payload: { roles: ['admin'] } })

    t.equal(response.statusCode, 401)
    t.match(await server.accounts.findById(accomplice.user.id), { roles: [] })
  })
})
