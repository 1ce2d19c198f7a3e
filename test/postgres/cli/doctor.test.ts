import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { examineDurability, examineInstances, examineTls, examineTransactions } from '../../../cli/cluster-findings.ts'
import { examine } from '../../../cli/doctor.ts'
import { signUp } from '../../helper.ts'
import { startCluster, startReplica } from '../cluster.ts'
import { startPooler } from '../pooler.ts'
import { SUPERUSER } from '../server.ts'
import { cluster, createInstallation, newDatabase, query } from './installation.ts'
import type { Test } from 'tap'

const production = { ISSUER: 'https://auth.example.com', HOST: '0.0.0.0', TRUST_PROXY: '10.0.0.0/8' }
const surroundings = { cores: 8, memoryBytes: 2 ** 40 }

const SOUND = [
  'ok settings', 'ok master key', 'ok server', 'ok durability', 'ok tls', 'ok news', 'ok clock', 'ok transaction', 'ok migrations',
  'ok keys', 'ok clock', 'ok instances', 'ok connections'
]

function assertComplaint (t: Test, complaints: object[], level: string, about: string, sentence: RegExp) {
  t.match(complaints, [{ level, about, sentence }])
  t.equal(complaints.length, 1, 'and nothing else')
}

/** Those that make the tests fast, and that the doctor warns of. */
async function forgetTestSettings (url: string) {
  await query(url, "delete from service_state where name like 'ARGON2_%' or name = 'RATE_LIMIT'")
}

/** A database that a service has used, with the findings about it. */
async function prepare (t: Test) {
  const { serve, settings } = createInstallation()
  const url = await newDatabase()
  const server = await serve(t, url, production)
  await signUp(server)
  await server.close()
  await forgetTestSettings(url)
  const findings = (env: Record<string, string> = {}, around = {}) => examine({ ...settings, ...production, DATABASE_URL: url, ...env }, { ...surroundings, ...around })
  return {
    serve,
    url,
    findings,
    complaints: async (...args: Parameters<typeof findings>) => (await findings(...args)).filter(({ level }) => level !== 'ok')
  }
}

t.test('doctor on PostgreSQL', async (t) => {
  await cluster.configure({ fsync: 'on' }) // of nothing else in these tests something must outlive a power cut
  t.teardown(() => cluster.configure({ fsync: 'off' }))

  t.test('finds nothing wrong in a sound installation, whether or not it runs', async (t) => {
    const { findings, serve, url } = await prepare(t)
    const toLines = async () => (await findings()).map(({ level, about }) => `${level} ${about}`)

    t.same(await toLines(), SOUND)
    await serve(t, url, production)
    await forgetTestSettings(url)
    t.same(await toLines(), SOUND)
    t.match((await findings()).at(-2), { sentence: '1 are running' })
  })

  t.test('warns of settings that differ from those that the service recorded', async (t) => {
    const { complaints } = await prepare(t)

    assertComplaint(t, await complaints({ ISSUER: 'https://id.example.com' }), 'warn', 'settings', /^ISSUER is "https:\/\/id\.example\.com" here, but "https:\/\/auth\.example\.com" in the service/)
  })

  t.test('finds a master key that is another one, or none', async (t) => {
    const { complaints } = await prepare(t)

    assertComplaint(t, await complaints({ MASTER_KEY: Buffer.alloc(32).toString('base64') }), 'fail', 'keys', /does not decrypt the signing keys/)
    assertComplaint(t, await complaints({ MASTER_KEY: '' }), 'fail', 'master key', /^MASTER_KEY is not set, and beside PostgreSQL no file replaces it\./)
  })

  t.test('finds what a crash of the server would lose', async (t) => {
    const { complaints, url } = await prepare(t)
    const { pathname } = new URL(url)

    await query(url, `alter database ${pathname.slice(1)} set synchronous_commit = off`)
    assertComplaint(t, await complaints(), 'fail', 'durability', /^synchronous_commit is off: /)
    await query(url, `alter database ${pathname.slice(1)} reset synchronous_commit`)
    await cluster.configure({ fsync: 'off' })
    assertComplaint(t, await complaints(), 'fail', 'durability', /^fsync is off: /)
    await cluster.configure({ fsync: 'on', full_page_writes: 'off' })
    assertComplaint(t, await complaints(), 'warn', 'durability', /^full_page_writes is off: /)
    await cluster.configure({ full_page_writes: 'on' })
    t.same(await complaints(), [])
  })

  t.test('warns of a standby that commits do not wait for', async (t) => {
    const { complaints } = await prepare(t)
    const small = await startCluster(t) // copying all the databases of the other one would take its time
    const url = await small.createDatabase()
    await startReplica(t, small)
    const isConnected = async () => (await small.query('select from pg_stat_replication')).length > 0
    while (!await isConnected()) await wait(20)

    assertComplaint(t, await complaints({ DATABASE_URL: url }), 'warn', 'standby', /^Standbys are connected \(1\), and synchronous_standby_names is empty: a failover may lose the last commits, revocations among them\. /)
    await small.configure({ synchronous_standby_names: 'standby' })
    t.same(await complaints({ DATABASE_URL: url }), [])
  })

  t.test('warns where notifications are not heard', async (t) => {
    const { complaints, url } = await prepare(t)
    const pooler = await startPooler(t, cluster)

    assertComplaint(t, await complaints({ DATABASE_URL: pooler.url(new URL(url).pathname.slice(1)) }), 'warn', 'news', /^Notifications are not heard/)
  })

  t.test('finds clocks that differ, and rows from the future', async (t) => {
    const { complaints, url } = await prepare(t)

    assertComplaint(t, await complaints({}, { now: Date.now() + 5000 }), 'warn', 'clock', /^This machine's clock is 5 s ahead of the server's\. Set it\.$/)
    assertComplaint(t, await complaints({}, { now: Date.now() - 60_000 }), 'fail', 'clock', /^This machine's clock is 60 s behind the server's\. /)
    await query(url, 'update users set created_at = 9e14')
    assertComplaint(t, await complaints(), 'fail', 'clock', /^The server says 20\S+, but the newest row is of \+030489-/)
  })

  t.test('warns of instances that say nothing, and of connections that there are not', async (t) => {
    const { complaints, url } = await prepare(t)

    assertComplaint(t, await complaints({ DATABASE_CONNECTIONS: '500' }), 'warn', 'connections', /^The instances may open 501, and the server takes 197\. /)
    await query(url, "insert into instances (id, beat, known, lease) values ('no more', 7, 0, 1000)")
    assertComplaint(t, await complaints(), 'warn', 'instances', /^1 of 1 say nothing: they stopped without a word\. A revocation waits 1 s for them, and removes them\. /)
  })

  t.test('finds a database that is empty, of another program or version, away, or unfit', async (t) => {
    const { complaints, findings, url } = await prepare(t)
    const [empty, foreign, latin] = [await newDatabase(), await newDatabase(), 'latin']
    await query(foreign, 'create table notes (id int)')
    await cluster.query(`create database ${latin} encoding 'LATIN1' locale 'C' template template0`)

    t.match((await findings({ DATABASE_URL: empty })).at(-1), { level: 'ok', about: 'database', sentence: 'is empty; the first start fills it' })
    assertComplaint(t, await complaints({ DATABASE_URL: foreign }), 'fail', 'migrations', /no database of Postern/)
    assertComplaint(t, await complaints({ DATABASE_URL: cluster.url(latin) }), 'fail', 'server', /has the encoding LATIN1\./)
    assertComplaint(t, await complaints({ DATABASE_URL: 'postgres://root:geheim@127.0.0.1:1/x' }), 'fail', 'server', /^The server of DATABASE_URL cannot be used \(connect ECONNREFUSED 127\.0\.0\.1:1\)\. /)
    assertComplaint(t, await complaints({ DATABASE_URL: `${url}?options=x` }), 'fail', 'server', /^DATABASE_URL has the parameter "options"/)
    await query(url, "insert into __drizzle_migrations (hash, created_at) values ('new', 9000000000000)")
    assertComplaint(t, await complaints(), 'fail', 'migrations', /^A later version of Postern wrote this database/)
  })

  t.test('knows a transaction that is open for long', async (t) => {
    const { url, findings } = await prepare(t)

    t.match((await findings()).find(({ about }) => about === 'transaction'), { level: 'ok' })
    t.match(examineTransactions({ seconds: 720, database: 'shop', who: 'process 7' }), {
      level: 'warn',
      sentence: 'A transaction is open for 12 min (database shop, process 7). End it: rows that change all the time pile up meanwhile.'
    })
    t.match(url, SUPERUSER)
  })

  t.test('knows what is no danger, and what is', async (t) => {
    const settings = { version: '17', fsync: 'on', fullPageWrites: 'on', synchronousCommit: 'on', synchronousStandbys: '', standbys: 0, mostConnections: 97 }

    for (const synchronousCommit of ['on', 'remote_apply', 'remote_write', 'local']) t.match(examineDurability({ ...settings, synchronousCommit }), [{ level: 'ok' }])
    t.match(examineDurability({ ...settings, synchronousCommit: 'local', synchronousStandbys: 'one', standbys: 1 }), [{ level: 'warn', sentence: /^synchronous_commit is local/ }])
    t.same(['local', 'verified', 'unverified', 'off'].map((tls) => examineTls(tls as 'local').level), ['ok', 'ok', 'warn', 'warn'])
    const places = { databaseConnections: 31, revocationLeaseSeconds: 5 }
    t.same(examineInstances({ alive: 3, silent: 0 }, places, settings).map(({ level }) => level), ['ok', 'ok'])
    t.same(examineInstances({ alive: 4, silent: 0 }, places, settings).map(({ level }) => level), ['ok', 'warn'])
  })
})
