import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'
import autoload from '@fastify/autoload'
import Fastify from 'fastify'
import { options, plugins } from '../app.ts'
import configPlugin from '../plugins/core/config/index.ts'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../plugins/core/config/index.ts'

const RESTART_MILLISECONDS = 1000
const FEATURES = fileURLToPath(new URL('../plugins/features', import.meta.url))

/**
 * Runs the service in `config.workers` processes on one port and one database, from which each of them learns at once
 * what another revoked. A process that ends by itself is replaced. SIGTERM and SIGINT stop all of them.
 */
export async function startWorkers (config: Config, warnings: string[]) {
  await prepareDatabase(config)
  const primary = await startPrimary(config)
  for (const warning of warnings) primary.log.warn(warning)
  let isListening = false
  let isStopping = false

  function startWorker () {
    if (isStopping) return
    cluster.fork().once('exit', (code, signal) => {
      if (isStopping) return
      if (!isListening) {
        process.exitCode = 1 // the first one cannot start, and has said why
        primary.close()
        return
      }
      primary.log.error({ event: 'worker_ended', code, signal }, 'a worker ended by itself and is replaced')
      setTimeout(startWorker, RESTART_MILLISECONDS)
    })
  }

  function stop (signal: NodeJS.Signals) {
    isStopping = true
    primary.close()
    // The primary has `workers`, and it holds none that ended.
    for (const worker of Object.values(cluster.workers!)) worker!.process.kill(signal)
  }

  process.on('SIGTERM', stop).on('SIGINT', stop)
  cluster.once('listening', () => {
    isListening = true
    for (let i = 1; i < config.workers; i++) startWorker()
  })
  startWorker()
}

/** Makes and migrates the database and makes the keys once, before anybody shares them. A wrong setting is reported once, too. */
async function prepareDatabase (config: Config) {
  const service = Fastify({ ...options(), logger: { level: config.logLevel } })
  await service.register(plugins, { config, isServing: false })
  await service.close()
}

/** Runs the `primary.ts` of each feature that has one. The first process serves no requests and opens no database. */
async function startPrimary (config: Config): Promise<FastifyInstance> {
  const primary = Fastify({ logger: { level: config.logLevel } })
  await primary.register(configPlugin, { config })
  await primary.register(autoload, {
    dir: FEATURES,
    encapsulate: false,
    dirNameRoutePrefix: false,
    matchFilter: /\/primary\.ts$/,
    indexPattern: /^primary\.ts$/
  })
  return primary
}
