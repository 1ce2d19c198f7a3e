import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import { build } from '../helper.ts'

t.test('GET /', async (t) => {
  t.test('says what this is and where to go on', async (t) => {
    const server = await build(t)

    const response = await server.inject({ url: '/' })

    t.equal(response.statusCode, 200)
    t.strictSame(response.json(), { name: 'postern', version: manifest.version, docs: '/docs', jwks: '/.well-known/jwks.json' })
    for (const url of [response.json().docs, response.json().jwks]) t.equal((await server.inject({ url })).statusCode, 200)
  })

  t.test('names no docs where there are none', async (t) => {
    const server = await build(t, { env: { DOCS: 'off' } })

    const response = await server.inject({ url: '/' })

    t.equal(response.json().docs, null)
    t.equal((await server.inject({ url: '/docs' })).statusCode, 404)
  })
})
