import { inspectServer } from '../plugins/core/database.ts'
import { HALF_COPY, MIGRATIONS, examineClock, examineMasterKey } from './database-findings.ts'
import { fail, ok, warn } from './findings.ts'
import { examineDurability, examineInstances, examineNews, examineTls, examineTransactions } from './cluster-findings.ts'
import type { Config } from '../plugins/core/config/index.ts'
import type { ServerInspection } from '../plugins/core/database.ts'
import type { Finding, Surroundings } from './findings.ts'

const WARN_OFF_MILLISECONDS = 2000
const MOST_OFF_MILLISECONDS = 30_000

/** Checks a PostgreSQL server, and that the database in it is sound, of this version, of this master key, and not from the future. */
export async function examineServer (config: Config, { now }: Partial<Surroundings> = {}): Promise<Finding[]> {
  const masterKey = examineSetting(config)
  try {
    const found = await inspectServer(config.databaseUrl, config.revocationLeaseSeconds * 1000)
    return [masterKey, ...examineCluster(found, now), ...examineContent(config, found)]
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException // the server's, the system's, or one with a sentence
    if (code === 'wrong_version' || code === 'wrong_setting') return [masterKey, fail('server', message)]
    return [masterKey, fail('server', `The server of DATABASE_URL cannot be used (${message || code}).`, 'See that it runs.')]
  }
}

function examineSetting ({ masterKey }: Config): Finding {
  if (masterKey !== undefined) return ok('master key', 'is MASTER_KEY; keep it in two places')
  return fail('master key', 'MASTER_KEY is not set, and beside PostgreSQL no file replaces it.', 'Set it as the service has it.')
}

function examineCluster (found: ServerInspection, now = found.clock.here): Finding[] {
  const { settings, tls, isHeard, clock, oldestTransaction } = found
  return [
    ok('server', `PostgreSQL ${settings.version}, UTF8`),
    ...examineDurability(settings),
    examineTls(tls),
    examineNews(isHeard),
    examineClocks(now - clock.server),
    examineTransactions(oldestTransaction)
  ]
}

function examineContent ({ databaseConnections, masterKey, revocationLeaseSeconds }: Config, found: ServerInspection): Finding[] {
  const { clock, content, settings, version } = found
  if (version === 'empty') return [ok('database', 'is empty; the first start fills it')]
  if (version === 'foreign') return [fail('migrations', 'The database is no database of Postern.', 'Set DATABASE_URL to one.')]
  if (!content) return [MIGRATIONS[version]]
  if (content.isCopying) return [HALF_COPY]
  return [
    MIGRATIONS[version],
    ...masterKey === undefined ? [] : [examineMasterKey(() => masterKey, content.keys)],
    examineClock(clock.server, content.newestTime, 'The server'),
    ...examineInstances(content.instances, { databaseConnections, revocationLeaseSeconds }, settings)
  ]
}

function examineClocks (offMilliseconds: number): Finding {
  const off = Math.abs(offMilliseconds)
  const seconds = Math.round(off / 1000)
  const sentence = `This machine's clock is ${seconds} s ${offMilliseconds > 0 ? 'ahead of' : 'behind'} the server's.`
  if (off >= MOST_OFF_MILLISECONDS) return fail('clock', sentence, 'Set it: with more than 30 s an instance is not ready.')
  if (off >= WARN_OFF_MILLISECONDS) return warn('clock', sentence, 'Set it.')
  return ok('clock', 'this machine and the server agree')
}
