import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import autoload from '@fastify/autoload'
import { LogController } from 'fastify'
import fp from 'fastify-plugin'
import { refuseAddress } from './plugins/core/refuse-address.ts'
import { refuseConnection } from './plugins/core/refuse-connection.ts'
import type { Server } from 'node:http'
import type { FastifyHttpOptions, FastifyInstance, FastifyPluginAsync } from 'fastify'
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
  /** Milliseconds since any moment, by a clock that nobody sets; the process's unless a test hands in another. */
  uptime?: Clock
  /** False for a command, which listens on no port: features that only serve are left out. */
  isServing?: boolean
  /** False for a command that makes nothing: no database, no migration, no key. */
  isMaker?: boolean
}

/** The options of the server itself. Tests and production share them. */
export function options (): FastifyHttpOptions<Server> {
  return {
    bodyLimit: 16 * KIB,
    requestTimeout: 10 * SECOND,
    // For a client that does not read its answer: Node looks twice. The feed writes to its followers more often than that.
    connectionTimeout: 30 * SECOND,
    keepAliveTimeout: 72 * SECOND, // longer than gateways keep an idle connection, so that they let go first
    http: {
      headersTimeout: 5 * SECOND,
      requestTimeout: 10 * SECOND,
      connectionsCheckingInterval: SECOND,
      maxHeaderSize: 16 * KIB,
      requireHostHeader: false // plugins/http/request-headers.ts refuses in the shape of every other refusal
    },
    logController: new LogController({ disableRequestLogging: true }), // plugins log what a request meant
    rewriteUrl (this: FastifyInstance, { url = '/' }) { return this.addressRewrites.reduce((url, rewrite) => rewrite(url), url) },
    frameworkErrors: refuseAddress,
    return503OnClosing: false, // plugins/http/closing.ts refuses in the shape of every other refusal
    clientErrorHandler: refuseConnection
  }
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
