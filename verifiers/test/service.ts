// A service that protects its routes with verifiers/typescript/postern.ts: `service.ts fastify` or `service.ts express`.

import { createServer } from 'node:http'
import Fastify from 'fastify'
import { createVerifier } from '../typescript/postern.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Verifier } from '../typescript/postern.ts'

const [, , kind] = process.argv
const { ISSUER: issuer = '', CLIENT: clientId = '', SECRET: clientSecret = '', MAX_SILENCE = '' } = process.env
const common = { issuer, audience: 'postern', clientId, clientSecret, maxSilence: Number(MAX_SILENCE) }
const verifiers = {
  feed: createVerifier({ ...common, follow: 'feed' }),
  'status-list': createVerifier({ ...common, follow: 'status-list' }),
  none: createVerifier({ ...common, follow: 'none' }),
  open: createVerifier({ ...common, follow: 'feed', failOpen: true })
}

type Known = { user?: unknown }

function withFastify () {
  const server = Fastify()
  for (const [name, { hook }] of Object.entries(verifiers)) {
    server.get(`/${name}`, { onRequest: hook() }, async (request) => (request as Known).user) // set by the hook
    server.get(`/${name}/admin`, { onRequest: hook('admin') }, async (request) => (request as Known).user) // set by the hook
  }
  return server.listen({ host: '127.0.0.1', port: 0 })
}

/** Calls a middleware as Express does. */
async function withMiddleware () {
  const answer = (request: IncomingMessage, response: ServerResponse) => response.end(JSON.stringify((request as Known).user)) // set by the middleware
  const routes = new Map<string, ReturnType<Verifier['middleware']>>()
  for (const [name, { middleware }] of Object.entries(verifiers)) routes.set(`/${name}`, middleware()).set(`/${name}/admin`, middleware('admin'))
  const server = createServer((request, response) => routes.get(request.url ?? '')?.(request, response, () => answer(request, response)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}` // it listens on a port
}

console.log(`listening on ${await (kind === 'fastify' ? withFastify() : withMiddleware())}`)
