// @fastify/jwt, set up as in its documentation, with a list of revoked tokens. CACHE=on turns its cache on.
import { generateKeyPairSync } from 'node:crypto'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import { AUDIENCE, ISSUER, TOKENS, blocklist, claims } from './shared.ts'

const { privateKey, publicKey } = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' }
})
const revoked = blocklist()
const server = Fastify()

await server.register(jwt, {
  secret: { private: privateKey, public: publicKey },
  sign: { algorithm: 'ES256' },
  verify: { algorithms: ['ES256'], allowedIss: ISSUER, allowedAud: AUDIENCE, cache: process.env.CACHE === 'on' && 2 * TOKENS },
  trusted: (_request, { jti }) => !revoked.has(jti)
})

const schema = { response: { 200: { type: 'object', properties: { answer: { type: 'integer' } } } } }
server.get('/secret', { schema, onRequest: async (request) => request.jwtVerify() }, async () => ({ answer: 42 }))
server.get('/tokens', async () => Array.from({ length: TOKENS }, (_, i) => server.jwt.sign(claims(i) as never))) // the types know the service's own claims only

console.log(`ready: ${await server.listen({ host: '127.0.0.1', port: 0 })}`)
