import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from './clients.ts'
import { statementSender } from './statements.ts'
import type { Client, ClientConfig } from 'pg'
import type { Statement } from '../engine.ts'

const PROBE_MILLISECONDS = 1000
const RETRY_MILLISECONDS = 100

/** The channel's name has the schema in it: several services may share a database. */
export const NOTIFY = "select pg_notify('postern_' || current_schema(), '')"
const FIND_SCHEMA = 'select current_schema()'

/** The connection for news: one that hears notifications, where they can be heard. */
export interface Channel {
  /** Sends a statement, connecting first when there is no connection; never sooner than 100 ms after the last attempt. */
  send: <Values, Row>(statement: Statement<Values, Row>, values: Values) => Promise<Row[]>
  /** False behind a pooler that gives each transaction another connection. */
  isHeard: () => boolean
  /** Gives up the connection: the next statement makes a new one. */
  drop: () => void
  close: () => Promise<void>
}

interface ChannelOptions {
  answerMilliseconds: number
  /** Notifies the channel on another connection. */
  notify: () => Promise<unknown>
  /** Called at every notification. */
  onNotice: () => void
  /** Called after a connection was made, from the second on. */
  onReconnect: () => void
}

export function createChannel (config: ClientConfig, { answerMilliseconds, notify, onNotice, onReconnect }: ChannelOptions): Channel {
  let client: Client | undefined
  let connecting: Promise<Client> | undefined
  let lastAttempt = -Infinity
  let isHeard = false
  let isFirst = true
  const send = statementSender(() => isHeard)

  /**
   * Listens, has another connection notify it, and waits a second for that: a pooler in transaction mode says yes to both, and
   * gives nothing to a connection that is idle.
   */
  async function listen (made: Client): Promise<boolean> {
    const { rows: [row] } = await made.query<[string]>({ text: FIND_SCHEMA, rowMode: 'array' } as never) // of rows that are arrays
    await made.query(`listen ${made.escapeIdentifier(`postern_${(row as unknown as string[])[0]}`)}`)
    const heard = new Promise<boolean>((resolve) => made.once('notification', () => resolve(true)))
    await notify()
    return Promise.race([heard, delay(PROBE_MILLISECONDS, false, { ref: false })])
  }

  async function connect (): Promise<Client> {
    const wait = lastAttempt + RETRY_MILLISECONDS * (1 + Math.random()) - performance.now()
    if (wait > 0) await delay(wait)
    lastAttempt = performance.now()
    const made = createClient(config, answerMilliseconds)
    made.once('end', () => { if (client === made) client = undefined })
    try {
      await made.connect()
      if (isFirst || isHeard) isHeard = await listen(made)
    } catch (error) {
      end(made)
      throw error
    }
    made.on('notification', onNotice)
    client = made
    if (!isFirst) onReconnect()
    isFirst = false
    return made
  }

  async function connected (): Promise<Client> {
    if (client) return client
    connecting ??= connect().finally(() => { connecting = undefined })
    return connecting
  }

  function drop () {
    if (client) end(client)
    client = undefined
  }

  return {
    async send (statement, values) {
      const current = await connected()
      try {
        const { rows } = await send(current, statement, statement.toParameters(values))
        return rows.map(statement.toRow)
      } catch (error) {
        if (client === current) drop() // whatever it was: a new connection tells
        throw error
      }
    },
    isHeard: () => isHeard,
    drop,
    async close () {
      const last = client
      client = undefined
      await last?.end()
    }
  }
}

/** Does not wait for a server that may never answer. */
function end (client: Client) {
  client.removeAllListeners('notification')
  client.end().catch(() => {})
}
