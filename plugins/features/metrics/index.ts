import cluster from 'node:cluster'
import fp from 'fastify-plugin'
import { serveMetrics } from './serve.ts'
import { readSettings } from './settings.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { PrometheusContentType } from 'prom-client'

const LOGIN = '/auth/login'
const REFRESH = '/auth/refresh'

/**
 * Metrics for Prometheus (docs/metrics.md). Nothing is loaded, hooked or measured unless METRICS_PORT is set. With several
 * processes each of them counts, and the first one serves the sum (primary.ts).
 */
const metrics: FastifyPluginAsync<{ isServing?: boolean }> = async (fastify, { isServing = true }) => {
  const { host, port } = readSettings(fastify)
  if (port === undefined || !isServing) return

  const { AggregatorRegistry, Registry, collectDefaultMetrics } = await import('prom-client')
  const { addGauges, createInstruments } = await import('./instruments.ts')
  const { addSharedDatabase } = await import('./shared-database.ts')
  // An aggregator registry answers when the first process asks.
  const registry = cluster.isWorker ? new AggregatorRegistry<PrometheusContentType>() : new Registry()
  const { requests, refusals, logins, refreshes, reuses, commits, writes } = createInstruments(registry)
  addGauges(registry, fastify)
  addSharedDatabase(registry, fastify)
  collectDefaultMetrics({ register: registry })

  fastify.db.observeCommits((milliseconds, count) => {
    commits.observe(milliseconds / 1000)
    writes.observe(count)
  })
  fastify.onRefusal((code, { routeOptions: { url } }) => {
    refusals.inc({ code })
    if (url === LOGIN) logins.inc({ outcome: code })
    if (url === REFRESH) refreshes.inc({ outcome: code })
  })
  fastify.audit.subscribe(({ event, outcome = 'done' }) => {
    if (event === 'signed_in') logins.inc({ outcome: event })
    if (event === 'refreshed' || event === 'refreshed_elsewhere') refreshes.inc({ outcome })
    if (event === 'reuse_detected') reuses.inc()
  })
  fastify.addHook('onResponse', ({ method, routeOptions: { url: route = 'none' } }, { elapsedTime, statusCode }, done) => {
    requests.observe({ method, route, status: `${Math.floor(statusCode / 100)}xx` }, elapsedTime / 1000)
    done()
  })

  if (cluster.isWorker) return AggregatorRegistry.setRegistries(registry)
  const close = await serveMetrics({ host, port }, () => registry.metrics(), fastify.log)
  fastify.addHook('onClose', () => close())
}

export default fp(metrics, { name: 'metrics', dependencies: ['audit', 'clock', 'config', 'database', 'errors', 'passwords'] })
