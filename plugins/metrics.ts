import cluster from 'node:cluster'
import Fastify, { LogController } from 'fastify'
import fp from 'fastify-plugin'
import type { FastifyBaseLogger, FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { PrometheusContentType, Registry } from 'prom-client'
import type { Config } from './config.ts'

const LOGIN = '/auth/login'
const REQUEST_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
const COMMIT_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5]
const COMMIT_DEEDS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
const REQUEST_TIMEOUT_MILLISECONDS = 10_000

declare module 'fastify' {
  interface FastifyInstance {
    /** Undefined unless METRICS_PORT is set: whoever counts something writes `metrics?.`. */
    metrics: Metrics | undefined
  }
}

export interface Metrics {
  /** Counts the answer to a refresh token. */
  refreshed: (outcome: string) => void
  /** Counts a refusal by its code, and as a login's outcome if it answers one. */
  refused: (code: string, request: FastifyRequest) => void
  /** All metrics of this process, in the text format of Prometheus. */
  text: () => Promise<string>
}

/**
 * What Prometheus reads (docs/metrics.md). Nothing is loaded, hooked or measured unless METRICS_PORT is set. With several
 * processes each of them counts, and the first one gives the sum (cluster.ts).
 */
const metrics: FastifyPluginAsync = async (fastify) => {
  const { config: { metrics: settings }, db, log } = fastify
  if (!settings) {
    fastify.decorate('metrics', undefined)
    return
  }

  const { AggregatorRegistry, Registry, collectDefaultMetrics } = await import('prom-client')
  const registry = cluster.isWorker ? new AggregatorRegistry<PrometheusContentType>() : new Registry() // the former answers when the first process asks
  const { requests, refusals, logins, refreshes, commits, deeds } = await countersIn(registry)
  await addGauges(registry, fastify)
  collectDefaultMetrics({ register: registry })

  db.observeCommits((milliseconds, count) => {
    commits.observe(milliseconds / 1000)
    deeds.observe(count)
  })

  fastify.addHook('onResponse', ({ method, routeOptions: { url: route = 'none' } }, { elapsedTime, statusCode }, done) => {
    requests.observe({ method, route, status: `${Math.floor(statusCode / 100)}xx` }, elapsedTime / 1000)
    if (route === LOGIN && statusCode === 200) logins.inc({ outcome: 'signed_in' })
    done()
  })

  const text = () => registry.metrics()
  fastify.decorate('metrics', {
    text,
    refreshed: (outcome) => refreshes.inc({ outcome }),
    refused (code, { routeOptions: { url } }) {
      refusals.inc({ code })
      if (url === LOGIN) logins.inc({ outcome: code })
    }
  })

  if (cluster.isWorker) return AggregatorRegistry.setRegistries(registry)
  const close = await serveMetrics(settings, text, log)
  fastify.addHook('onClose', () => close())
}

async function countersIn (registry: Registry) {
  const { Counter, Histogram } = await import('prom-client')
  const registers = [registry]
  return {
    requests: new Histogram({ name: 'postern_http_request_duration_seconds', help: 'Time to answer, by method, route and class of status', labelNames: ['method', 'route', 'status'], buckets: REQUEST_SECONDS, registers }),
    refusals: new Counter({ name: 'postern_refusals_total', help: 'Refusals, by code', labelNames: ['code'], registers }),
    logins: new Counter({ name: 'postern_logins_total', help: 'Answers to logins: signed_in, or the code of the refusal', labelNames: ['outcome'], registers }),
    refreshes: new Counter({ name: 'postern_refreshes_total', help: 'Answers to genuine refresh tokens: rotated, repeated (in the grace), reused, crowded, expired or unknown', labelNames: ['outcome'], registers }),
    commits: new Histogram({ name: 'postern_db_commit_duration_seconds', help: 'Time from the start of a transaction to its being on disk', buckets: COMMIT_SECONDS, registers }),
    deeds: new Histogram({ name: 'postern_db_commit_deeds', help: 'Writes that shared a commit', buckets: COMMIT_DEEDS, registers })
  }
}

/** What is looked up when it is asked for. */
async function addGauges (registry: Registry, { db, now, passwords }: FastifyInstance) {
  const { Gauge } = await import('prom-client')

  function add (name: string, help: string, read: () => number | Promise<number>, aggregator: 'sum' | 'max') {
    registry.registerMetric(new Gauge({ name, help, aggregator, registers: [], async collect () { this.set(await read()) } }))
  }

  add('postern_sessions', 'Sessions', () => db.sessions.count(), 'max') // of several processes each sees all of them
  add('postern_revocations', 'Revocations that still matter', () => db.revocations.count(now()), 'max')
  add('postern_argon2_running', 'Passwords that are being hashed', () => passwords.load().running, 'sum')
  add('postern_argon2_waiting', 'Passwords that wait for a thread', () => passwords.load().waiting, 'sum')
}

/**
 * Answers GET /metrics with what `read` gives, on a port of its own. Gives what stops it.
 * @throws Error with `code: 'wrong_setting'` and a sentence that names METRICS_PORT, when it cannot listen there
 */
export async function serveMetrics ({ host, port }: NonNullable<Config['metrics']>, read: () => Promise<string>, log: FastifyBaseLogger) {
  const server = Fastify({ loggerInstance: log, logController: new LogController({ disableRequestLogging: true }), requestTimeout: REQUEST_TIMEOUT_MILLISECONDS, forceCloseConnections: true })
  server.get('/metrics', async (_request, reply) => reply.type('text/plain; version=0.0.4; charset=utf-8').send(await read()))
  try {
    await server.listen({ host, port, listenTextResolver: (address) => `metrics: ${address}/metrics` })
  } catch (cause) {
    throw Object.assign(new Error(`METRICS_PORT is ${port} and METRICS_HOST is "${host}" but should be an address and a port that are free (${(cause as Error).message}).`, { cause }), { code: 'wrong_setting' })
  }
  return () => server.close()
}

export default fp(metrics, { name: 'metrics', dependencies: ['clock', 'config', 'db', 'passwords'] })
