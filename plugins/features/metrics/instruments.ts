import { Counter, Gauge, Histogram } from 'prom-client'
import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'

const REQUEST_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
const COMMIT_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5]
const COMMIT_WRITES = [1, 2, 4, 8, 16, 32, 64, 128, 256]

/** The counters and histograms that events update. */
export function createInstruments (registry: Registry) {
  const registers = [registry]

  const counter = <Label extends string = never>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter<Label>({ name, help, labelNames, registers })
  const histogram = <Label extends string = never>(name: string, help: string, buckets: number[], labelNames: Label[] = []) =>
    new Histogram<Label>({ name, help, buckets, labelNames, registers })

  return {
    requests: histogram(
      'postern_http_request_duration_seconds',
      'Time to answer, by method, route and class of status',
      REQUEST_SECONDS,
      ['method', 'route', 'status']
    ),
    refusals: counter('postern_refusals_total', 'Refusals, by code', ['code']),
    logins: counter('postern_logins_total', 'Answers to logins: signed_in, or the code of the refusal', ['outcome']),
    refreshes: counter('postern_refreshes_total', 'Answers to refreshes: rotated…, replayed_in_grace, or a refusal\'s code', ['outcome']),
    reuses: counter('postern_refresh_token_reuse_total', 'Refresh tokens that were used twice, which ended their sessions'),
    commits: histogram('postern_db_commit_duration_seconds', 'Time from the start of a transaction until it is on disk', COMMIT_SECONDS),
    writes: histogram('postern_db_commit_writes', 'Writes that shared a commit', COMMIT_WRITES)
  }
}

/** Adds the gauges, which are looked up when they are asked for. */
export function addGauges (registry: Registry, { db, now, passwords }: FastifyInstance) {
  function add (name: string, help: string, read: () => number | Promise<number>, aggregator: 'sum' | 'max') {
    registry.registerMetric(new Gauge({ name, help, aggregator, registers: [], async collect () { this.set(await read()) } }))
  }

  add('postern_sessions', 'Sessions', () => db.sessions.count(), 'max') // of several processes each sees all of them
  add('postern_revocations', 'Revocations that have not expired', () => db.revocations.count(now()), 'max')
  add('postern_argon2_running', 'Passwords that are being hashed', () => passwords.load().running, 'sum')
  add('postern_argon2_waiting', 'Passwords that wait for a thread', () => passwords.load().waiting, 'sum')
}
