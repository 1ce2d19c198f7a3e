import t from 'tap'
import { bearer, build, claimsOf, signUp, signUpClient } from '../../helper.ts'

const URLS = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']
const ISSUER = 'https://id.example.com/auth'

for (const url of URLS) {
  t.test(`GET ${url}`, async (t) => {
    t.test('says where everything is, and claims nothing that there is not', async (t) => {
      const server = await build(t, { env: { ISSUER } })

      const response = await server.inject({ url })

      t.equal(response.statusCode, 200)
      t.match(response.headers, { 'content-type': /^application\/json/, 'cache-control': 'public, max-age=300' })
      t.same(response.json(), {
        issuer: ISSUER,
        jwks_uri: `${ISSUER}/.well-known/jwks.json`,
        introspection_endpoint: `${ISSUER}/oauth/introspect`,
        introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
        revocation_endpoint: `${ISSUER}/oauth/revoke`,
        revocation_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
        status_list_aggregation_endpoint: `${ISSUER}/status`,
        response_types_supported: [],
        grant_types_supported: [],
        service_documentation: `${ISSUER}/docs`
      })
    })

    t.test('is also where RFC 8414 has it for an issuer with a path', async (t) => {
      const server = await build(t, { env: { ISSUER } })

      t.same((await server.inject({ url: `${url}/auth` })).json(), (await server.inject({ url })).json())
      t.equal((await server.inject({ url: `${url}/other` })).statusCode, 404)
    })

    t.test('says nothing of docs where there are none', async (t) => {
      const server = await build(t, { env: { DOCS: 'off' } })

      t.notOk('service_documentation' in (await server.inject({ url })).json())
    })
  })
}

t.test('What the metadata name', async (t) => {
  const server = await build(t, { env: { ISSUER } })
  const metadata = (await server.inject({ url: URLS[0]! })).json()
  const client = await signUpClient(server)
  const ada = await signUp(server)
  const pathOf = (address: string) => address.slice(ISSUER.length)

  t.test('is there', async (t) => {
    const payload = { token: ada.access_token }

    t.equal(claimsOf(ada.access_token).iss, metadata.issuer)
    t.equal((await server.inject({ url: pathOf(metadata.jwks_uri) })).json().keys.length, 1)
    t.equal((await server.inject({ method: 'POST', url: pathOf(metadata.introspection_endpoint), headers: client, payload })).json().active, true)
    t.match((await server.inject({ url: pathOf(metadata.status_list_aggregation_endpoint) })).json(), { status_lists: [claimsOf(ada.access_token).status.status_list.uri] })
    t.equal((await server.inject({ url: `${pathOf(metadata.service_documentation)}/` })).statusCode, 200)
    t.equal((await server.inject({ method: 'POST', url: pathOf(metadata.revocation_endpoint), headers: client, payload })).statusCode, 200)
    t.equal((await server.inject({ url: '/secret', headers: bearer(ada.access_token) })).statusCode, 401)
  })
})
