import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, onRequestAsyncHookHandler } from 'fastify'

const SECRET_BYTES = 32

declare module 'fastify' {
  interface FastifyInstance {
    clients: Clients
    /** A route hook that lets in gateways and services, by HTTP Basic (RFC 7617): `onRequest: fastify.authenticateClient`. */
    authenticateClient: onRequestAsyncHookHandler
  }
  interface FastifyRequest {
    /** The client that `authenticateClient` let in. */
    clientId: string | null
  }
  interface FastifyContextConfig {
    /** Set by the hook of this plugin. */
    isForClients?: boolean
  }
}

export interface Clients {
  /** Makes a client and gives its secret, of which only a hash is kept; undefined when there is one of that id. */
  create: (id: string) => Promise<string | undefined>
  /** Lets a client in no more; gives whether there was one. */
  remove: (id: string) => Promise<boolean>
}

/** The gateways and services that may ask about tokens and follow revocations. */
const clients: FastifyPluginAsync = async (fastify) => {
  const { audit, db, now, problem } = fastify
  const nobody = digest(randomBytes(SECRET_BYTES).toString('base64url'))

  const authenticateClient: onRequestAsyncHookHandler = async (request) => {
    const { id, secret } = credentialsOf(request.headers.authorization)
    const client = await db.clients.findById(id)
    const isRight = timingSafeEqual(Buffer.from(digest(secret)), Buffer.from(client?.secretHash ?? nobody))
    if (!client || !isRight) throw problem('invalid_client')
    request.clientId = id
  }

  fastify.decorateRequest('clientId', null)
  fastify.decorate('authenticateClient', authenticateClient)
  fastify.decorate('clients', {
    async create (id) {
      const secret = randomBytes(SECRET_BYTES).toString('base64url')
      const isAdded = await db.clients.add({ id, secretHash: digest(secret), createdAt: now() }, audit.note('cli', { event: 'client_created', target: id }))
      return isAdded ? secret : undefined
    },

    remove: (id) => db.clients.remove(id, audit.note('cli', { event: 'client_deleted', target: id }))
  })

  fastify.addHook('onRoute', (route) => {
    if ([route.onRequest].flat().includes(authenticateClient)) route.config = { ...route.config, isForClients: true }
  })
}

/** Ids and secrets are of characters that need no escaping, so RFC 6749's extra form encoding changes nothing. */
function credentialsOf (authorization = ''): { id: string, secret: string } {
  const encoded = /^basic ([\w+/=-]+)$/i.exec(authorization)?.[1] ?? ''
  const [id = '', secret = ''] = Buffer.from(encoded, 'base64').toString().split(':')
  return { id, secret }
}

/** A plain hash is enough for 256 random bits. */
function digest (secret: string): string {
  return hash('sha256', secret, 'base64url')
}

export default fp(clients, { name: 'clients', dependencies: ['audit', 'clock', 'db', 'problem'] })
