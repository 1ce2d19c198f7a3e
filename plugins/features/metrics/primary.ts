import fp from 'fastify-plugin'
import { serveMetrics } from './serve.ts'
import { readSettings } from './settings.ts'
import type { FastifyPluginAsync } from 'fastify'

/** In the first of several processes: serves the sum of what the others count. */
const metricsOfAll: FastifyPluginAsync = async (fastify) => {
  const { host, port } = readSettings(fastify)
  if (port === undefined) return

  const { AggregatorRegistry } = await import('prom-client')
  const registry = new AggregatorRegistry()
  const close = await serveMetrics({ host, port }, () => registry.clusterMetrics(), fastify.log)
  fastify.addHook('onClose', () => close())
}

export default fp(metricsOfAll, { name: 'metrics-of-all', dependencies: ['config'] })
