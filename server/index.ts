import cluster from 'node:cluster'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import app, { options } from '../app.ts'
import { findMisspelt, loadEnvFile } from '../plugins/core/config/env-file.ts'
import { allSettings, readConfig } from '../plugins/core/config/index.ts'
import { startWorkers } from './cluster.ts'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../plugins/core/config/index.ts'

const FINISH_MILLISECONDS = 5000
const SETTLE_MILLISECONDS = 100
const GRACE_MILLISECONDS = 9000 // one less than `docker stop` waits
const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

async function start (config: Config, warnings: string[]) {
  const server = Fastify({ ...options(), logger: { level: config.logLevel } })
  try {
    await server.register(app, { config })
  } catch (error) {
    await server.close() // leaves nothing beside the database
    throw error
  }
  stopWithGrace(server)

  for (const warning of warnings) server.log.warn(warning)
  const { host, port, issuer, issuerIsChosen } = config
  if (!issuerIsChosen && host !== '127.0.0.1') server.log.warn(`ISSUER is not set: tokens name ${issuer} as their issuer`)
  const docs = server.metadata.pathOf('service_documentation')
  const toReadyLine = (address: string) => docs ? `ready: open ${address}${docs}` : `ready: ${address}`
  await server.listen({ host, port, listenTextResolver: toReadyLine })
  server.log.info('to make an administrator: npm run cli -- users create --email you@example.com --role admin')
}

/** The start leaves garbage behind that V8 would keep: 40 MiB of idle memory. Collecting it stops everything for 50 ms, once. */
function collectGarbage () {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' }) // with --expose-gc, as `npm start` has it
}

/**
 * Finishes what is under way when a signal or an error nobody caught stops the process. The same signal comes several times:
 * a terminal or a supervisor signals every process of the group, and npm and our primary pass it on once more. So the handlers
 * stay for good, because a signal without one kills at once, and all signals but the first do nothing.
 */
function stopWithGrace (server: FastifyInstance) {
  let isStopping = false
  const { close } = closeWithGrace({ delay: GRACE_MILLISECONDS, logger: server.log, skip: [...STOP_SIGNALS] }, async ({ err }) => {
    isStopping = true
    if (err) server.log.fatal({ err }, 'stopping: an error that nobody caught')
    setTimeout(() => server.server.closeAllConnections(), FINISH_MILLISECONDS).unref() // a client that never finishes
    await server.close()
  })

  function stop (signal: NodeJS.Signals) {
    if (isStopping) return
    server.log.info({ signal }, 'stopping')
    close()
  }

  for (const signal of STOP_SIGNALS) process.on(signal, stop)
}

/** One sentence for an error that the operator can do something about; undefined for any other. */
function toSentence ({ code, message, syscall, port }: NodeJS.ErrnoException & { port?: number }): string | undefined {
  if (code === 'wrong_setting') return message
  if (code === 'EADDRNOTAVAIL' || syscall === 'getaddrinfo') {
    return `HOST is "${process.env.HOST}" but should be an address of this machine (${message}).`
  }
  if (syscall === 'listen' || syscall === 'bind') {
    return `PORT is ${port} but should be a port that is free and that this user may listen on (${message}).`
  }
}

async function main () {
  try {
    process.on('SIGUSR1', () => {}) // without a handler Node opens its inspector, to every user of the machine
    const names = loadEnvFile()
    const config = readConfig(process.env)
    const warnings = names.length > 0 && cluster.isPrimary ? findMisspelt(names, Object.keys(await allSettings())) : []
    await (cluster.isPrimary && config.workers > 1 ? startWorkers(config, warnings) : start(config, warnings))
    setTimeout(collectGarbage, SETTLE_MILLISECONDS).unref()
  } catch (error) {
    console.error(toSentence(error as Error) ?? error) // whatever it is, it has no code that is not a string
    process.exit(1)
  }
}

await main()
