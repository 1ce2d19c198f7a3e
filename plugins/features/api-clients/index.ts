import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import fp from 'fastify-plugin'
import { readCredentials } from './credentials.ts'
import { addOAuthError } from './oauth-error.ts'
import { tokenOperations } from './tokens.ts'
import type { FastifyPluginAsync, FastifyRequest, RouteOptions, onRequestAsyncHookHandler, preSerializationHookHandler } from 'fastify'
import type { Client } from '../../core/database.ts'

const SECRET_BYTES = 32
const CHALLENGE = 'Basic realm="postern", charset="UTF-8"'
const AUTH_METHODS = ['client_secret_basic', 'client_secret_post']

declare module 'fastify' {
  interface ProblemCodes { invalid_client: true }
  interface AuditEventNames { client_created: true, client_deleted: true }
  interface FastifyInstance {
    apiClients: ApiClients
    /**
     * A route hook that demands an API client, by HTTP Basic: `onRequest: fastify.authenticateClient`. A route with a body
     * has it as `preValidation`: the credentials may be in the body, and are looked at when all of it has come.
     */
    authenticateClient: onRequestAsyncHookHandler
    /** A route hook that adds the members of RFC 6749, section 5.2, to a refusal: `preSerialization: fastify.addOAuthError`. */
    addOAuthError: preSerializationHookHandler
  }
  interface FastifyRequest {
    /** The API client that asks, where `authenticateClient` let it in. */
    apiClient: Client | null
  }
}

export interface ApiClients {
  /** Makes a client and gives its secret, of which only a hash is kept. Undefined when there is a client of that id. */
  create: (id: string) => Promise<string | undefined>
  list: () => Promise<Client[]>
  /** Deletes a client. Gives false when there is none of that id. */
  remove: (id: string) => Promise<boolean>
  introspect: ReturnType<typeof tokenOperations>['introspect']
  revoke: ReturnType<typeof tokenOperations>['revoke']
}

/** The gateways and services that may ask about tokens, revoke them, and follow revocations. */
const apiClients: FastifyPluginAsync = async (fastify) => {
  const { audit, config: { issuer }, db, metadata, now, problem, problems, routeDocumentation: { describe, securitySchemes } } = fastify
  const nobody = digest(randomBytes(SECRET_BYTES).toString('base64url'))

  async function authenticateClient (request: FastifyRequest) {
    const { id, secret } = readCredentials(request)
    const client = await db.apiClients.findById(id)
    const isRight = timingSafeEqual(Buffer.from(digest(secret)), Buffer.from(client?.secretHash ?? nobody))
    if (!client || !isRight) throw problem('invalid_client')
    request.apiClient = client
    request.actor = { actorKind: 'client', actorId: id }
  }

  function describeLock (route: RouteOptions) {
    const [early, late] = [route.onRequest, route.preValidation].map((hooks) => [hooks].flat().includes(authenticateClient))
    if (early) describe(route, { security: [{ client: [] }], refusals: ['invalid_client'] })
    if (late) describe(route, { security: [{ client: [] }, {}], refusals: ['invalid_client'] }) // nothing: they are in the body
  }

  async function create (id: string): Promise<string | undefined> {
    const secret = randomBytes(SECRET_BYTES).toString('base64url')
    const client = { id, secretHash: digest(secret), createdAt: now() }
    const isAdded = await db.apiClients.add(client, audit.entry('cli', { event: 'client_created', target: id }))
    return isAdded ? secret : undefined
  }

  problems.add({
    invalid_client: [401, 'The client id or the client secret is wrong. Send both, as HTTP Basic or in the body.', CHALLENGE]
  })
  audit.addEvents({
    client_created: { level: 'info', message: 'API client created', target: 'client' },
    client_deleted: { level: 'info', message: 'API client deleted', target: 'client' }
  })
  metadata.add({
    introspection_endpoint: `${issuer}/oauth/introspect`,
    introspection_endpoint_auth_methods_supported: AUTH_METHODS,
    revocation_endpoint: `${issuer}/oauth/revoke`,
    revocation_endpoint_auth_methods_supported: AUTH_METHODS
  })
  securitySchemes.client = { type: 'http', scheme: 'basic', description: 'The id and secret that `npm run cli -- clients create` printed' }
  fastify.addHook('onRoute', describeLock)

  fastify.decorateRequest('apiClient', null)
  fastify.decorate('authenticateClient', authenticateClient)
  fastify.decorate('addOAuthError', addOAuthError)
  fastify.decorate('apiClients', {
    create,
    list: db.apiClients.list,
    remove: (id) => db.apiClients.remove(id, audit.entry('cli', { event: 'client_deleted', target: id })),
    ...tokenOperations(fastify)
  })
}

/** A plain hash is enough for 256 random bits. */
function digest (secret: string): string {
  return hash('sha256', secret, 'base64url')
}

export default fp(apiClients, {
  name: 'api-clients',
  dependencies: ['access-tokens', 'audit', 'clock', 'database', 'metadata', 'problems', 'route-documentation', 'sessions']
})
