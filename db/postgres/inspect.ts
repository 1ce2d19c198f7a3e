import { setTimeout as delay } from 'node:timers/promises'
import { MARK_NAME } from '../copy-mark.ts'
import { NOTIFY, createChannel } from './channel.ts'
import { createClient } from './clients.ts'
import { postgresDialect } from './dialect.ts'
import { assertUsable, findVersion } from './migrate.ts'
import { isLocal, parsePostgresUrl } from './url.ts'
import type { Client, ClientConfig } from 'pg'
import type { Version } from '../migrations.ts'

const ANSWER_MILLISECONDS = 3000

const SETTINGS = `select current_setting('server_version') as version, current_setting('fsync') as fsync,
  current_setting('full_page_writes') as "fullPageWrites", current_setting('synchronous_commit') as "synchronousCommit",
  current_setting('synchronous_standby_names') as "synchronousStandbys", (select count(*)::int from pg_stat_replication) as standbys,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as "mostConnections"`

/** Of others a user sees the times only with the role pg_read_all_stats. */
const OLDEST_TRANSACTION = `select extract(epoch from clock_timestamp() - since)::int as seconds, database, who from (
  select xact_start as since, datname as database, 'process ' || pid as who from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid()
  union all select prepared, database, 'prepared transaction ' || gid from pg_prepared_xacts) as open
  where since is not null order by since limit 1`

const CLOCK = 'select (extract(epoch from clock_timestamp()) * 1000)::bigint as time'

const CONTENT = `select coalesce(max(time), 0) as "newestTime",
    exists (select from service_state where name = '${MARK_NAME}') as "isCopying"
  from (select max(last_used_at) as time from sessions union all select max(created_at) from users
    union all select max(created_at) from signing_keys) as times`

const KEYS = 'select kid, private_key as "privateKey" from signing_keys'

export interface ServerSettings {
  version: string
  fsync: string
  fullPageWrites: string
  synchronousCommit: string
  synchronousStandbys: string
  /** The standbys that are connected. */
  standbys: number
  mostConnections: number
}

export interface ServerInspection {
  settings: ServerSettings
  tls: 'local' | 'off' | 'unverified' | 'verified'
  /** False where notifications do not arrive. */
  isHeard: boolean
  /** The clocks of the server and of this machine at one moment, in milliseconds since 1970. */
  clock: { server: number, here: number }
  /** The longest open transaction of all databases, as far as the user may see it. */
  oldestTransaction?: { seconds: number, database: string, who: string }
  version: Version
  /** Undefined for a database that is not of this version. */
  content?: DatabaseContent
}

export interface DatabaseContent {
  /** The signing keys as stored. */
  keys: Array<{ kid: string, privateKey: Buffer }>
  newestTime: number
  /** True for a copy that is not complete. */
  isCopying: boolean
  /** Instances in the registry: those that said something while this looked, and those that did not. */
  instances: { alive: number, silent: number }
}

/**
 * Examines a server and a database, and changes nothing, whether or not the service runs.
 * @throws the server's or the system's error, or `wrong_version` or `wrong_setting` with a sentence
 */
export async function inspectServer (url: string, leaseMilliseconds: number): Promise<ServerInspection> {
  const config = parsePostgresUrl(url)
  const client = createClient(config)
  await client.connect()
  try {
    await assertUsable(client)
    const version = await findVersion(client)
    return {
      settings: await one<ServerSettings>(client, SETTINGS),
      tls: tlsOf(config),
      isHeard: await hears(config, client),
      clock: await readClock(client),
      oldestTransaction: (await client.query(OLDEST_TRANSACTION)).rows[0],
      version,
      content: version === 'current' ? await readContent(client, leaseMilliseconds) : undefined
    }
  } finally {
    client.end().catch(() => {})
  }
}

async function readContent (client: Client, leaseMilliseconds: number): Promise<DatabaseContent> {
  return {
    ...await one<Pick<DatabaseContent, 'newestTime' | 'isCopying'>>(client, CONTENT),
    keys: (await client.query(KEYS)).rows,
    instances: await countInstances(client, leaseMilliseconds)
  }
}

/** Looks twice: an instance that lives says something five times in a lease. */
async function countInstances (client: Client, leaseMilliseconds: number) {
  const look = async () => (await client.query<{ id: string, beat: number }>('select id, beat from instances')).rows
  const before = await look()
  if (before.length === 0) return { alive: 0, silent: 0 }
  await delay(leaseMilliseconds / 2)
  const after = await look()
  const silent = after.filter(({ id, beat }) => before.some((seen) => seen.id === id && seen.beat === beat)).length
  return { alive: after.length - silent, silent }
}

async function readClock (client: Client): Promise<ServerInspection['clock']> {
  const asked = Date.now()
  const { time: server } = await one<{ time: number }>(client, CLOCK)
  return { server, here: (asked + Date.now()) / 2 }
}

async function hears (config: ClientConfig, client: Client): Promise<boolean> {
  const notify = () => client.query(NOTIFY)
  const channel = createChannel(config, { answerMilliseconds: ANSWER_MILLISECONDS, notify, onNotice () {}, onReconnect () {} })
  await channel.send(postgresDialect.text<[], [number]>('', 'select 1'), [])
  await channel.close()
  return channel.isHeard()
}

function tlsOf ({ host = '', ssl }: ClientConfig): ServerInspection['tls'] {
  if (typeof ssl === 'object') return ssl.rejectUnauthorized ? 'verified' : 'unverified'
  return isLocal(host) ? 'local' : 'off'
}

async function one<Row extends object> (client: Client, sql: string): Promise<Row> {
  return (await client.query<Row>(sql)).rows[0]! // each of them has one row
}
