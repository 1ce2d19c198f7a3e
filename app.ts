import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import autoload from '@fastify/autoload'
import { LogController } from 'fastify'
import fp from 'fastify-plugin'
import { refuseAddress, refuseConnection } from './plugins/errors.ts'
import { compilersFactory } from './schema-compilers.ts'
import type { IncomingMessage, Server } from 'node:http'
import type { FastifyHttpOptions, FastifyPluginAsync } from 'fastify'
import type { Clock } from './plugins/clock.ts'
import type { Config } from './plugins/config.ts'

const KIB = 1024
const SECOND = 1000

export interface AppOptions {
  config: Config
  /** The time in milliseconds since 1970; the system's unless a test hands in another. */
  now?: Clock
}

/** What must be known before a server is made; tests and production share it. */
export function options (config: Config): FastifyHttpOptions<Server> {
  return {
    trustProxy: config.trustProxy.length > 0 && config.trustProxy,
    bodyLimit: 16 * KIB,
    requestTimeout: 10 * SECOND,
    connectionTimeout: 30 * SECOND, // for a client that does not read its answer: Node looks twice; followers of the feed hear from it more often
    keepAliveTimeout: 72 * SECOND, // longer than gateways keep an idle connection, so that they let go first
    http: { headersTimeout: 5 * SECOND, requestTimeout: 10 * SECOND, connectionsCheckingInterval: SECOND, maxHeaderSize: 16 * KIB },
    logController: new LogController({ disableRequestLogging: true }), // what happens is logged by whoever knows what it means
    genReqId: requestId,
    rewriteUrl: ({ url = '/' }) => url.startsWith('/verify/') ? '/verify' : url, // Envoy puts the original path and query there
    frameworkErrors: refuseAddress,
    return503OnClosing: false, // plugins/graceful-close.ts refuses in the shape of every other refusal
    clientErrorHandler: refuseConnection,
    schemaController: { compilersFactory }
  }
}

/** A gateway's X-Request-Id where it is fit for a log line and a header; otherwise one of ours. */
function requestId ({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID()
}

/** All but the routes: what the command line works with. */
export const core = fp<AppOptions>(async (fastify, options) => {
  await fastify.register(autoload, { dir: fileURLToPath(new URL('plugins', import.meta.url)), options, encapsulate: false })
}, { name: 'core' })

const app: FastifyPluginAsync<AppOptions> = async (fastify, options) => {
  await fastify.register(core, options)
  await fastify.register(autoload, { dir: fileURLToPath(new URL('routes', import.meta.url)), ignorePattern: /schemas\.ts$/ })
}

export default fp(app, { name: 'postern' })
