import t from 'tap'
import { assertRefused, build, converse, createLog, signUp } from '../../helper.ts'
import type { FastifyPluginAsync } from 'fastify'

const HEAD = 'HTTP/1.1\r\nHost: localhost\r\n'

const { lines, logger } = createLog()
const routes: FastifyPluginAsync = async (fastify) => {
  fastify.get('/busy', async () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600))
  fastify.get('/quick', async () => 'here')
  fastify.get('/locked', async () => { throw Object.assign(new Error('database is locked'), { code: 'database_unavailable' }) })
}
const server = await build(t, { env: { DOCS: 'off' }, routes, logger })

t.test('A turn of the event loop that takes too long', async (t) => {
  const { access_token: token } = await signUp(server)
  await server.listen({ host: '127.0.0.1', port: 0 })
  const request = (url: string, more = '') => `GET ${url} ${HEAD}${more}\r\n`

  t.test('answers the rest of its requests with 503, except those about the process itself', async (t) => {
    const answers = await converse(server, request('/busy') + request('/quick') + request('/verify', `Authorization: Bearer ${token}\r\n`) + request('/health/live', 'Connection: close'))

    t.same([...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status), ['200', '503', '503', '200'])
    t.equal(answers.match(/^retry-after: 1\r$/gm)?.length, 2)
    t.equal(answers.match(/"code":"overloaded"/g)?.length, 2)
    t.match(lines.findLast(({ code }) => code === 'overloaded'), { level: 40, event: 'refused', route: '/verify' })
  })

  t.test('leaves the next turn alone', async (t) => {
    t.match(await converse(server, request('/quick', 'Connection: close').trimEnd()), /^HTTP\/1\.1 200 OK\r\n/)
  })

  t.test('leaves injected requests alone', async (t) => {
    await server.inject({ url: '/busy' })

    t.equal((await server.inject({ url: '/quick' })).statusCode, 200)
  })
})

t.test('Every 503 says when to come back', async (t) => {
  const response = await server.inject({ url: '/locked' })

  assertRefused(t, response, 503, 'database_unavailable')
  t.equal(response.headers['retry-after'], '1')
})
