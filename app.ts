import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import autoload from '@fastify/autoload'
import { LogController } from 'fastify'
import fp from 'fastify-plugin'
import { refuseAddress } from './plugins/core/refuse-address.ts'
import { refuseConnection } from './plugins/core/refuse-connection.ts'
import type { IncomingMessage, Server } from 'node:http'
import type { FastifyHttpOptions, FastifyPluginAsync } from 'fastify'
import type { Clock } from './plugins/core/clock.ts'
import type { Config } from './plugins/core/config/index.ts'

const KIB = 1024
const SECOND = 1000

/** In this order: each folder may use what the ones before it decorate (plugins/README.md). */
const PLUGIN_FOLDERS = ['core', 'http', 'tokens', 'accounts', 'features']

export interface AppOptions {
  config: Config
  /** The time in milliseconds since 1970; the system's unless a test hands in another. */
  now?: Clock
  /** False for a command, which listens on no port: features that only serve are left out. */
  isServing?: boolean
}

/** The options of the server itself. Tests and production share them. */
export function options (config: Config): FastifyHttpOptions<Server> {
  return {
    trustProxy: config.trustProxy.length > 0 && config.trustProxy,
    bodyLimit: 16 * KIB,
    requestTimeout: 10 * SECOND,
    // For a client that does not read its answer: Node looks twice. The feed writes to its followers more often than that.
    connectionTimeout: 30 * SECOND,
    keepAliveTimeout: 72 * SECOND, // longer than gateways keep an idle connection, so that they let go first
    http: { headersTimeout: 5 * SECOND, requestTimeout: 10 * SECOND, connectionsCheckingInterval: SECOND, maxHeaderSize: 16 * KIB },
    logController: new LogController({ disableRequestLogging: true }), // plugins log what a request meant
    genReqId: toRequestId,
    rewriteUrl: ({ url = '/' }) => url.startsWith('/verify/') ? '/verify' : url, // Envoy puts the original path and query there
    frameworkErrors: refuseAddress,
    return503OnClosing: false, // plugins/http/closing.ts refuses in the shape of every other refusal
    clientErrorHandler: refuseConnection
  }
}

/** A gateway's X-Request-Id where it is fit for a log line and a header; otherwise one of ours. */
function toRequestId ({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID()
}

/** All but the routes: what the command line works with. */
export const plugins = fp<AppOptions>(async (fastify, options) => {
  for (const folder of PLUGIN_FOLDERS) {
    const dir = fileURLToPath(new URL(`plugins/${folder}`, import.meta.url))
    if (existsSync(dir)) await fastify.register(autoload, { dir, options, encapsulate: false, dirNameRoutePrefix: false })
  }
}, { name: 'plugins' })

const app: FastifyPluginAsync<AppOptions> = async (fastify, options) => {
  await fastify.register(plugins, options)
  await fastify.register(autoload, { dir: fileURLToPath(new URL('routes', import.meta.url)), ignorePattern: /schemas\.ts$/ })
}

export default fp(app, { name: 'postern' })
