import { createRequire } from 'node:module'
import type { ClientConfig } from 'pg'

// `pg` is loaded here, and this only for a postgres: URL: it takes 15 ms and 9 MiB.
const require = createRequire(import.meta.url)

const { Client, Pool, types } = require('pg') as typeof import('pg')

const ANSWER_MILLISECONDS = 3000
const INT8 = 20

/** Whole numbers are numbers: all of ours fit. */
const TYPES = {
  getTypeParser: ((oid: number, format: 'text') => oid === INT8 ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser
}

/** Clients that send ahead of the answers, and are destroyed when one does not come in time: a connection that stalls never errs. */
function toConfig (config: ClientConfig, answerMilliseconds = ANSWER_MILLISECONDS): ClientConfig {
  return {
    ...config,
    pipeline: true,
    types: TYPES,
    keepAlive: true,
    application_name: 'postern',
    connectionTimeoutMillis: answerMilliseconds,
    query_timeout: answerMilliseconds
  }
}

export function createClient (config: ClientConfig, answerMilliseconds?: number) {
  const client = new Client(toConfig(config, answerMilliseconds))
  client.on('error', () => {}) // what is under way fails with it, and the next finds the connection gone
  return client
}

/** Operations wait for one of `max` connections for a second at most. */
export function createPool (config: ClientConfig, max: number) {
  const pool = new Pool({ ...toConfig(config), max, connectionTimeoutMillis: 1000 })
  pool.on('error', () => {}) // of a connection that nobody uses: the pool drops it
  pool.on('connect', (client) => { client.on('error', () => {}) }) // of one in use: what is under way fails with it
  return pool
}
