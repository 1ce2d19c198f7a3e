import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { build } from '../../helper.ts'
import type { AddressInfo } from 'node:net'
import type { FastifyPluginAsync } from 'fastify'

const GATEWAY = '10.1.2.3'

const routes: FastifyPluginAsync = async (fastify) => {
  fastify.get('/who', async ({ ip, host, protocol }) => ({ ip, host, protocol }))
}

t.test('The address of a client', async (t) => {
  const server = await build(t, { env: { TRUST_PROXY: '10.0.0.0/8,127.0.0.1,2001:db8:9::/48', DOCS: 'off' }, routes })
  const who = async (remoteAddress: string, headers: Record<string, string | string[]> = {}) =>
    (await server.inject({ url: '/who', remoteAddress, headers })).json()
  const ipOf = async (forwarded: string) => (await who(GATEWAY, { 'x-forwarded-for': forwarded })).ip

  const spellings = {
    '203.0.113.9': ['203.0.113.9', '203.0.113.9:50001', '203.0.113.9:', '"203.0.113.9"', '203.000.113.009', '::ffff:203.0.113.9',
      '::FFFF:CB00:7109', '[::ffff:203.0.113.9]:443', '0:0:0:0:0:ffff:203.0.113.9', ' 203.0.113.9 '],
    '2001:db8::1': ['2001:db8::1', '2001:DB8::1', '[2001:db8::1]', '[2001:db8::1]:50001', '"[2001:db8::1]:50001"',
      '2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::0.0.0.1'],
    '::ffff:1:2:3': ['::ffff:1:2:3'],
    'fe80::1': ['fe80::1', 'fe80::1%eth0', '[fe80::1%25eth0]:443'],
    [GATEWAY]: ['', ' ', ',', 'unknown', '_hidden7', 'somebody', '203.0.113.256', '203.0.113', '203.0.113.9.9', '[203.0.113.9', '1:2', '"',
      '<script>', '0x7f.0.0.1', '2130706433', '[]:443']
  }
  for (const [ip, written] of Object.entries(spellings)) {
    t.test(`is ${ip} in each of its spellings`, async (t) => {
      for (const one of written) t.equal(await ipOf(one), ip, one)
    })
  }

  t.test('is found behind gateways that write ports, too', async (t) => {
    t.equal(await ipOf('198.51.100.1, 203.0.113.9:50001, 10.9.9.9:443'), '203.0.113.9')
    t.equal(await ipOf('203.0.113.9, [2001:db8:9::1]:443, ::ffff:10.9.9.9'), '203.0.113.9')
  })

  t.test('is the last gateway that names none', async (t) => {
    t.equal(await ipOf('198.51.100.1, unknown, 10.9.9.9'), '10.9.9.9')
    t.equal(await ipOf('10.8.8.8, 10.9.9.9'), '10.8.8.8')
  })

  t.test('is its own where no gateway is between', async (t) => {
    t.equal((await who('192.0.2.1', { 'x-forwarded-for': '203.0.113.9' })).ip, '192.0.2.1')
    t.equal((await who('::ffff:192.0.2.1')).ip, '192.0.2.1')
    t.equal((await who('::ffff:10.1.2.3', { 'x-forwarded-for': '203.0.113.9' })).ip, '203.0.113.9')
  })

  t.test('comes with the host and the scheme that the gateway was asked for', async (t) => {
    const headers = { host: 'inside', 'x-forwarded-host': 'forged, auth.example.com', 'x-forwarded-proto': 'https' }

    t.match(await who(GATEWAY, headers), { host: 'auth.example.com', protocol: 'https' })
    t.match(await who(GATEWAY, { host: 'inside', 'x-forwarded-host': '' }), { host: 'inside', protocol: 'http' })
    t.match(await who('192.0.2.1', headers), { host: 'inside', protocol: 'http' })
  })
})

t.test('On HOST=:: a client that comes by IPv4 has an IPv4 address', async (t) => {
  const server = await build(t, { env: { DOCS: 'off' }, routes })
  await server.listen({ host: '::', port: 0 })
  const { port } = server.server.address() as AddressInfo // it listens on a port
  const socket = connect(port, '127.0.0.1')

  socket.write('GET /who HTTP/1.0\r\n\r\n')

  t.match(await text(socket), '{"ip":"127.0.0.1","host":"","protocol":"http"}')
})

t.test('What is no address, such as that of a socket that has closed, is one network', async (t) => {
  const { clientAddresses } = await build(t)

  t.same(clientAddresses.networksOf(''), [''])
})
