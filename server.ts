import cluster from 'node:cluster'
import { existsSync } from 'node:fs'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import app, { options } from './app.ts'
import { startWorkers } from './cluster.ts'
import { readConfig } from './plugins/config.ts'
import type { Config } from './plugins/config.ts'

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

  if (!config.issuerIsChosen && config.host !== '127.0.0.1') server.log.warn(`ISSUER is not set: tokens say that they come from ${config.issuer}`)
  await server.listen({ host: config.host, port: config.port, listenTextResolver: (address) => config.docs ? `ready: open ${address}/docs` : `ready: ${address}` })
  server.log.info('to make an administrator: npm run cli -- users create --email you@example.com --role admin')
}

/** The start leaves a tenth of the memory behind as garbage, which V8 would keep for want of a reason to collect it. Stops everything for 50 ms, once. */
function giveBackMemory () {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' }) // with --expose-gc, as `npm start` has it
}

/** A terminal, or a supervisor, signals every process of the group, and our primary passes the signal on once more. */
function ignoreMoreSignals () {
  for (const signal of ['SIGTERM', 'SIGINT']) process.removeAllListeners(signal).on(signal, () => {})
}

/** What stops the start, as one sentence; undefined for what the operator can do nothing about. */
function sentenceFor ({ code, message, syscall, port }: NodeJS.ErrnoException & { port?: number }): string | undefined {
  if (code === 'wrong_setting') return message
  if (code === 'EADDRNOTAVAIL' || syscall === 'getaddrinfo') return `HOST is "${process.env.HOST}" but should be an address of this machine (${message}).`
  if (syscall === 'listen' || syscall === 'bind') return `PORT is ${port} but should be a port that is free and that this user may listen on (${message}).`
}

async function main () {
  try {
    if (existsSync('.env')) process.loadEnvFile() // what the environment holds already goes first
    const config = readConfig(process.env)
    await (cluster.isPrimary && config.workers > 1 ? startWorkers(config) : start(config))
    setTimeout(giveBackMemory, SETTLE_MILLISECONDS).unref()
  } catch (error) {
    console.error(sentenceFor(error as Error) ?? error) // whatever it is, it has no code that is not a string
    process.exit(1)
  }
}

await main()
