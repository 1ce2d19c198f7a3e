import cluster from 'node:cluster'
import Fastify from 'fastify'
import { core, options } from './app.ts'
import { serveMetrics } from './plugins/metrics.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from './plugins/config.ts'

const RESTART_MILLISECONDS = 1000

/**
 * Runs the service in `config.workers` processes on one port and one database, which is where each of them learns at once
 * what another revoked. One that ends by itself is replaced; SIGTERM and SIGINT stop all of them.
 */
export async function startWorkers (config: Config) {
  const log = await prepare(config)
  const closeMetrics = await serveSum(config, log)
  let isListening = false
  let isStopping = false

  function startWorker () {
    if (isStopping) return
    cluster.fork().once('exit', (code, signal) => {
      if (isStopping) return
      if (!isListening) {
        process.exitCode = 1 // the first one cannot, and has said why
        closeMetrics()
        return
      }
      log.error({ event: 'worker_ended', code, signal }, 'a worker ended by itself, and is replaced')
      setTimeout(startWorker, RESTART_MILLISECONDS)
    })
  }

  function stop (signal: NodeJS.Signals) {
    isStopping = true
    closeMetrics()
    for (const worker of Object.values(cluster.workers!)) worker!.process.kill(signal) // the primary has them, and those that ended are gone from there
  }

  process.on('SIGTERM', stop).on('SIGINT', stop)
  cluster.once('listening', () => {
    isListening = true
    for (let i = 1; i < config.workers; i++) startWorker()
  })
  startWorker()
}

/** Serves the sum of what the processes count, if metrics are wanted; gives what stops that. */
async function serveSum ({ metrics }: Config, log: FastifyBaseLogger): Promise<() => Promise<void>> {
  if (!metrics) return async () => {}
  const { AggregatorRegistry } = await import('prom-client')
  const registry = new AggregatorRegistry()
  return serveMetrics(metrics, () => registry.clusterMetrics(), log)
}

/** Makes and migrates the database and makes the keys once, before anybody shares them; a wrong setting is told once, too. */
async function prepare (config: Config): Promise<FastifyBaseLogger> {
  const service = Fastify({ ...options(config), logger: { level: config.logLevel } })
  await service.register(core, { config: { ...config, docs: false, metrics: undefined, tracing: undefined } })
  await service.close()
  return service.log
}
