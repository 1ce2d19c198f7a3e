import { Counter, Gauge, Histogram } from 'prom-client'
import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'

const SYNC_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5]

/** Adds the metrics of a database that several instances share. */
export function addSharedDatabase (registry: Registry, { databaseEvents, db: { load } }: FastifyInstance) {
  if (!load) return
  const registers = [registry]
  const lapses = new Counter({ name: 'postern_lease_lapses_total', help: 'Leases that ran out before the database answered', registers })
  const blind = new Counter({ name: 'postern_blind_total', help: 'Times when tokens were checked without the database', registers })
  const syncs = new Histogram({
    name: 'postern_sync_duration_seconds', help: 'Time to ask the database for revocations', buckets: SYNC_SECONDS, registers
  })
  const settles = new Histogram({
    name: 'postern_settle_duration_seconds',
    help: 'Time from a revocation\'s commit until every instance knew it: known, lapsed (one was silent) or waited (a whole lease)',
    labelNames: ['outcome'],
    buckets: SYNC_SECONDS,
    registers
  })

  databaseEvents.subscribe((event) => {
    if (event.kind === 'lapsed') lapses.inc()
    if (event.kind === 'blind') blind.inc()
    if (event.kind === 'synced') syncs.observe(event.milliseconds / 1000)
    if (event.kind === 'settled') settles.observe({ outcome: event.outcome }, event.milliseconds / 1000)
  })

  function add (name: string, help: string, read: () => number | Promise<number>, aggregator: 'sum' | 'max') {
    registry.registerMetric(new Gauge({ name, help, aggregator, registers: [], async collect () { this.set(await read()) } }))
  }
  add('postern_db_connections_used', 'Connections that an operation uses', () => load.connections().used, 'sum')
  add('postern_db_connections_waiting', 'Operations that wait for a connection', () => load.connections().waiting, 'sum')
  add('postern_instances', 'Instances in the registry', load.instances, 'max')
  add('postern_audit_inbox', 'Audit events that have no place in the chain yet', load.inbox, 'max')
}
