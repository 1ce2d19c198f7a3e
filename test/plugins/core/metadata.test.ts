import t from 'tap'
import { build } from '../../helper.ts'
import type { FastifyPluginAsync } from 'fastify'

const ISSUER = 'https://id.example.com/auth'
const ENDPOINTS = ['introspection_endpoint', 'jwks_uri', 'revocation_endpoint', 'service_documentation', 'status_list_aggregation_endpoint']

t.test('The metadata', async (t) => {
  const server = await build(t, { env: { ISSUER } })
  const { metadata } = server

  t.test('name the endpoints of every feature, under the issuer', async (t) => {
    const addresses = Object.entries(metadata.document()).filter(([name, value]) => name !== 'issuer' && String(value).startsWith(ISSUER))

    t.same(addresses.map(([name]) => name).sort(), ENDPOINTS)
  })

  t.test('name no endpoint that does not answer', async (t) => {
    for (const name of ENDPOINTS) t.not((await server.inject({ url: metadata.pathOf(name)! })).statusCode, 404, name)
  })

  t.test('leave out what is switched off', async (t) => {
    const { metadata } = await build(t, { env: { ISSUER, DOCS: 'off' } })

    t.notOk(Object.hasOwn(metadata.document(), 'service_documentation'))
    t.equal(metadata.pathOf('service_documentation'), undefined)
  })

  t.test('take what a feature adds', async (t) => {
    const routes: FastifyPluginAsync = async ({ config: { issuer }, metadata }) => { metadata.add({ registration_endpoint: `${issuer}/register` }) }
    const server = await build(t, { env: { ISSUER }, routes })

    t.equal(server.metadata.pathOf('registration_endpoint'), '/register')
    t.match((await server.inject({ url: '/.well-known/oauth-authorization-server' })).json(), { registration_endpoint: `${ISSUER}/register` })
  })
})
