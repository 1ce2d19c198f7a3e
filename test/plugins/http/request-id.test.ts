import t from 'tap'
import { build, createLog } from '../../helper.ts'

const OURS = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

t.test('X-Request-Id', async (t) => {
  const { lines, logger } = createLog()
  const server = await build(t, { env: { TRUST_PROXY: '127.0.0.1' }, logger })
  const idFor = async (given: string | string[], remoteAddress = '127.0.0.1') =>
    (await server.inject({ url: '/secret', remoteAddress, headers: { 'x-request-id': given } })).headers['x-request-id']

  for (const given of ['7', 'a-gateways.own_Id-1', '0af7651916cd43dd8448eb211c80319c', 'x'.repeat(64)]) {
    t.test(`is the gateway's where it is fit for a log: ${given}`, async (t) => {
      t.equal(await idFor(given), given)
      t.equal(lines.at(-1)?.reqId, given)
    })
  }

  for (const given of ['', 'x'.repeat(65), 'two words', 'a"b', '<script>', 'id\u001b[2J', 'ü', ['one', 'two']]) {
    t.test(`is one of ours where it is not: ${JSON.stringify(given).slice(0, 20)}`, async (t) => {
      const id = await idFor(given)

      t.match(id, OURS)
      t.equal(lines.at(-1)?.reqId, id)
    })
  }

  t.test('is one of ours where it is not a gateway\'s', async (t) => {
    t.match(await idFor('case-4711', '192.0.2.1'), OURS)
    t.equal(await idFor('case-4711', '::ffff:127.0.0.1'), 'case-4711')
  })

  t.test('is another one for every request without one', async (t) => {
    const ids = new Set()
    for (let i = 0; i < 10; i++) ids.add((await server.inject({ url: '/' })).headers['x-request-id'])

    t.equal(ids.size, 10)
    for (const id of ids) t.match(id, OURS)
  })

  t.test('is on every answer, refusals too', async (t) => {
    for (const url of ['/', '/nowhere', '/secret', '/docs/', '/docs/json', '/%zz', `/users/${'a'.repeat(500)}`]) {
      t.match((await server.inject({ url })).headers['x-request-id'], OURS, url)
    }
    t.match((await server.inject({ method: 'PUT', url: '/secret' })).headers['x-request-id'], OURS)
  })
})
