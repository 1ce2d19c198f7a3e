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
  interface FastifyContextConfig {
    /** Set by the hook of this plugin. */
    isForClients?: boolean
  }
}

export interface Clients {
  /** Makes a client and gives its secret, of which only a hash is kept; undefined when there is one of that id. */
  create: (id: string) => Promise<string | undefined>
}

/** The gateways and services that may ask about tokens and follow revocations. */
const clients: FastifyPluginAsync = async (fastify) => {
  const { db, now, problem } = fastify
  const nobody = digest(randomBytes(SECRET_BYTES).toString('base64url'))

  const authenticateClient: onRequestAsyncHookHandler = async ({ headers }) => {
    const { id, secret } = credentialsOf(headers.authorization)
    const client = await db.clients.findById(id)
    const isRight = timingSafeEqual(Buffer.from(digest(secret)), Buffer.from(client?.secretHash ?? nobody))
    if (!client || !isRight) throw problem('invalid_client')
  }

  fastify.decorate('authenticateClient', authenticateClient)
  fastify.decorate('clients', {
    async create (id) {
      const secret = randomBytes(SECRET_BYTES).toString('base64url')
      const isAdded = await db.clients.add({ id, secretHash: digest(secret), createdAt: now() })
      return isAdded ? secret : undefined
    }
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

export default fp(clients, { name: 'clients', dependencies: ['clock', 'db', 'problem'] })
