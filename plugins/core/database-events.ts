import type { FastifyBaseLogger } from 'fastify'
import type { NewsEvent } from '../../db/news-events.ts'

const WARN_OFF_MILLISECONDS = 2000
const NOT_READY_OFF_MILLISECONDS = 30_000

declare module 'fastify' {
  interface FastifyInstance { databaseEvents: DatabaseEvents }
}

export interface DatabaseEvents {
  onEvent: (event: NewsEvent) => void
  /** Calls `listener` with every event: the metrics do. */
  subscribe: (listener: (event: NewsEvent) => void) => void
  /** False while this machine's clock is off the database's by half a minute. */
  isClockRight: () => boolean
  /** True while tokens are checked by what is known, because the database does not answer and REVOCATION_BLIND allows it. */
  isBlind: () => boolean
}

/** Writes to the log what an operator must know of the database: each change once, and not every beat. */
export function createDatabaseEvents (log: FastifyBaseLogger): DatabaseEvents {
  const listeners: Array<(event: NewsEvent) => void> = []
  let isFailing = false
  let isBlind = false
  let off = 0

  function logClock (offMilliseconds: number) {
    const [was, is] = [Math.abs(off), Math.abs(offMilliseconds)]
    if (was < WARN_OFF_MILLISECONDS && is >= WARN_OFF_MILLISECONDS) {
      const seconds = Math.round(offMilliseconds / 1000)
      log.warn({ event: 'clock_off', off_seconds: seconds }, 'the clock differs from the database server\'s: set it')
    }
    off = offMilliseconds
  }

  function logEvent (event: NewsEvent) {
    switch (event.kind) {
      case 'connected':
        if (!event.isHeard) log.warn({ event: 'database_polled' }, 'notifications are not heard (a pooler in transaction mode?): polling')
        return
      case 'failed':
        if (!isFailing) log.error({ event: 'database_silent', err: event.error }, 'the database does not answer, and is asked again')
        isFailing = true
        return
      case 'synced':
        if (isFailing) log.info({ event: 'database_answers' }, 'the database answers again')
        isFailing = isBlind = false
        return
      case 'lapsed': return log.warn({ event: 'lease_lapsed' }, 'the database was silent for a REVOCATION_LEASE: tokens wait for it')
      case 'blind':
        isBlind = true
        return log.error({ event: 'blind' }, 'tokens are checked by what is known, because REVOCATION_BLIND is "allow"')
      case 'history_lost':
        return log.error({ event: 'history_lost' }, 'the database has lost revocations: after a restore, run "npm run cli -- restored"')
      case 'clock': return logClock(event.offMilliseconds)
    }
  }

  return {
    onEvent (event) {
      logEvent(event)
      for (const listener of listeners) listener(event)
    },
    subscribe (listener) { listeners.push(listener) },
    isClockRight: () => Math.abs(off) < NOT_READY_OFF_MILLISECONDS,
    isBlind: () => isBlind
  }
}
