// A standby takes over from its primary, which lives on in two of three cases: what was revoked stays so.
import { setTimeout as wait } from 'node:timers/promises'
import { atEnd } from '../chaos/service.ts'
import { startReplica } from '../postgres/cluster.ts'
import { logOut, logOutOnce, makeSessions, refresh, verify, verifyInTheEnd } from './sessions.ts'
import { createTally } from './tally.ts'
import { startWorld } from './world.ts'
import type { Replica } from '../postgres/cluster.ts'
import type { Instance } from './service.ts'
import type { Tokens, World } from './world.ts'

const EARLIER = 100
const LATER = 5
const LEASE_MILLISECONDS = 1000
const LOOK_MILLISECONDS = 20
const SETTINGS = { REVOCATION_LEASE: `${LEASE_MILLISECONDS / 1000}s` }

const tally = createTally()

function expect (isRight: boolean, sentence: string) {
  tally.add('expectations')
  if (!isRight) tally.violate(sentence)
}

async function start (isSynchronous: boolean) {
  const world = await startWorld({ teardown: atEnd }, { names: ['old', 'new'], env: SETTINGS })
  const standby = await startReplica({ teardown: atEnd }, world.cluster)
  if (isSynchronous) await world.cluster.configure({ synchronous_standby_names: 'standby' })
  const wanted = isSynchronous ? 'sync' : 'async'
  const stateOf = async () => (await world.cluster.query('select sync_state from pg_stat_replication'))[0]?.sync_state
  while (await stateOf() !== wanted) await wait(LOOK_MILLISECONDS)
  return { world, standby }
}

/** Everybody is known to both instances; the first hundred are logged out, at one instance and the other in turn. */
async function prepare ({ instances }: World) {
  const earlier = await makeSessions(instances, EARLIER)
  const later = await makeSessions(instances, LATER)
  const good = await makeSessions(instances, LATER)
  const zombies = await makeSessions(instances, LATER)
  const everybody = [...earlier, ...later, ...good, ...zombies]
  for (const instance of instances) {
    const statuses = await Promise.all(everybody.map((tokens) => verifyInTheEnd(instance, tokens)))
    expect(statuses.every((status) => status === 200), `${instance.name}: a good token is refused before anything has happened`)
  }
  for (const [i, tokens] of earlier.entries()) {
    expect(await logOut(instances[i % instances.length]!, tokens), 'a logout before the failover fails') // there are some
  }
  return { earlier, later, good, zombies }
}

/** Waits until an asynchronous standby has everything: that it may not is known, and not what is tested. */
async function untilCaughtUp ({ cluster }: World, standby: Replica) {
  const [row] = await cluster.query('select pg_current_wal_lsn()::text as lsn')
  const hasAll = async () => (await standby.query('select pg_last_wal_replay_lsn() >= $1::pg_lsn as has', [row?.lsn]))[0]?.has
  while (!await hasAll()) await wait(LOOK_MILLISECONDS)
}

/** Both instances are at the new primary: nobody is in who should not be, nobody is out, and a logout holds at once. */
async function assertRight (name: string, instances: Instance[], revoked: Tokens[], good: Tokens[]) {
  for (const instance of instances) {
    await instance.untilReady()
    const statuses = await Promise.all(revoked.map((tokens) => verifyInTheEnd(instance, tokens)))
    const wrong = statuses.filter((status) => status !== 401)
    expect(wrong.length === 0, `${name}: ${instance.name} does not refuse what was revoked, but answers ${wrong.join(' ')}`)
    for (const tokens of good) expect(await verifyInTheEnd(instance, tokens) === 200, `${name}: ${instance.name} refuses a good token`)
  }
  for (const [i, tokens] of good.entries()) {
    const [here, there] = i % 2 === 0 ? instances : instances.toReversed()
    if (!here || !there) throw new Error('There are two instances.')
    const next = await refresh(here, tokens)
    expect(next !== undefined, `${name}: a session is lost`)
    expect((await refresh(there, tokens))?.refresh_token === next?.refresh_token, `${name}: a session has forked`)
    expect(await logOut(here, next ?? tokens), `${name}: a logout fails afterwards`)
    expect([401, 503].includes(await verify(there, next ?? tokens)), `${name}: ${there.name} lets in after a logout at ${here.name}`)
  }
}

/** The network parts: the standby is promoted, and the old primary goes on serving the old instance. */
async function split (isSynchronous: boolean) {
  const name = isSynchronous ? 'synchronous standby' : 'asynchronous standby'
  const { world, standby } = await start(isSynchronous)
  const { earlier, later, good, zombies } = await prepare(world)
  const [oldInstance, newInstance] = world.instances
  const [oldProxy, newProxy] = world.proxies
  if (!oldInstance || !newInstance || !oldProxy || !newProxy) throw new Error('There are two instances.')

  if (!isSynchronous) await untilCaughtUp(world, standby)
  await standby.promote()
  newProxy.switchTo(standby)
  await newInstance.untilReady()
  for (const tokens of earlier) expect(await verifyInTheEnd(newInstance, tokens) === 401, `${name}: an acknowledged logout is lost`)

  const seen: number[] = []
  for (const tokens of later) {
    expect(await logOut(newInstance, tokens), `${name}: a logout at the new primary fails`)
    seen.push(await verify(oldInstance, tokens))
  }
  const answered = await Promise.all(zombies.map((tokens) => logOutOnce(oldInstance, tokens)))
  await Promise.all(later.map((tokens) => verify(oldInstance, tokens))) // it remembers them, as of its own logouts
  const [sessions] = await world.cluster.query("select count(*)::int as open from pg_stat_activity where backend_type = 'client backend'")
  console.log(`${name}: logged out at the new primary, asked at the old instance: ${seen.join(' ')}`)
  console.log(`${name}: logouts at the old primary were answered ${answered.join(' ')}; it has ${sessions?.open} sessions open`)
  if (isSynchronous) {
    expect(seen.every((status) => status === 503 || status === 401), `${name}: the old instance lets in what was revoked`)
    expect(answered.every((status) => status === 503), `${name}: a logout is acknowledged that the new primary does not have`)
  }

  oldProxy.switchTo(standby)
  await wait(2 * LEASE_MILLISECONDS) // one from the old primary is good until it ends
  const kept = await Promise.all(zombies.map((tokens) => verifyInTheEnd(newInstance, tokens)))
  console.log(`${name}: what was logged out at the old primary is answered ${kept.join(' ')} at the new one`)
  await assertRight(name, world.instances, [...earlier, ...later], good)
}

/** The primary dies, and the address of the database leads to the standby: the service goes on without a restart. */
async function takeOver () {
  const name = 'dead primary'
  const { world, standby } = await start(true)
  const { cluster, instances, proxies } = world
  const { earlier, good } = await prepare(world)
  const before = instances.map(({ pid }) => pid())
  await cluster.kill()
  await wait(2 * LEASE_MILLISECONDS)
  const away = await Promise.all([...earlier, ...good].map((tokens) => verify(instances[0]!, tokens))) // there are two
  expect(away.every((status) => status === 503 || status === 401), `${name}: /verify answers without a lease: ${away.join(' ')}`)

  await standby.promote()
  const promotedAt = performance.now()
  for (const proxy of proxies) proxy.switchTo(standby)
  await Promise.all(instances.map((instance) => instance.untilReady()))
  console.log(`${name}: both instances are ready again ${(performance.now() - promotedAt).toFixed(0)} ms after the promotion`)
  await assertRight(name, instances, earlier, good)
  expect(instances.every(({ pid }, i) => pid() === before[i]), `${name}: an instance was started again`)
}

console.log('npm run test:failover')
await split(true)
await split(false)
await takeOver()
tally.print()
process.exit(tally.violations.length > 0 ? 1 : 0)
