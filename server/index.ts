import cluster from 'node:cluster'
import { existsSync } from 'node:fs'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import app, { options } from '../app.ts'
import { readConfig } from '../plugins/core/config/index.ts'
import { startWorkers } from './cluster.ts'
import type { Config } from '../plugins/core/config/index.ts'

const FINISH_MILLISECONDS = 5000
const SETTLE_MILLISECONDS = 100
const GRACE_MILLISECONDS = 9000 // one less than `docker stop` waits

async function start (config: Config) {
  const server = Fastify({ ...options(config), logger: { level: config.logLevel } })
  await server.register(app, { config })

  closeWithGrace({ delay: GRACE_MILLISECONDS, logger: server.log }, async ({ err, signal }) => {
    if (err) server.log.fatal({ err }, 'stopping: an error that nobody caught')
    else server.log.info({ signal }, 'stopping')
    if (cluster.isWorker) ignoreMoreSignals()
    setTimeout(() => server.server.closeAllConnections(), FINISH_MILLISECONDS).unref() // a client that never finishes
    await server.close()
  })

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

/** A terminal, or a supervisor, signals every process of the group, and our primary passes the signal on once more. */
function ignoreMoreSignals () {
  for (const signal of ['SIGTERM', 'SIGINT']) process.removeAllListeners(signal).on(signal, () => {})
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
    if (existsSync('.env')) process.loadEnvFile() // the environment takes precedence
    const config = readConfig(process.env)
    await (cluster.isPrimary && config.workers > 1 ? startWorkers(config) : start(config))
    setTimeout(collectGarbage, SETTLE_MILLISECONDS).unref()
  } catch (error) {
    console.error(toSentence(error as Error) ?? error) // whatever it is, it has no code that is not a string
    process.exit(1)
  }
}

await main()
