// Three instances and one database, with faults between them: nothing that was revoked gets in anywhere after the answer.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { atEnd, createRandom } from '../chaos/service.ts'
import { numberFrom, seedFromEnvironment } from '../program.ts'
import { createFaults } from './faults.ts'
import { createCrowd } from './people.ts'
import { createRevoker } from './revocations.ts'
import { createTally } from './tally.ts'
import { startWorld } from './world.ts'

const SECONDS = numberFrom('SECONDS', 60)
const SEED = seedFromEnvironment()
const LEASE = process.env.LEASE ?? '1s'
const IS_CONTROL = process.env.CONTROL === '1'
const HAS_POOLER = process.env.POOLER === '1'
const REVOKERS = 10
const PEOPLE = 4
const CALM_MILLISECONDS = 1000
const ROUND_MILLISECONDS = 8000

/** The control run takes the check of the lease out, and must find violations. */
const WITHOUT_LEASE = { REVOCATION_LEASE: '30s', NODE_OPTIONS: `--import ${fileURLToPath(new URL('no-lease.ts', import.meta.url))}` }

const choices = `${IS_CONTROL ? 'CONTROL=1' : `LEASE=${LEASE}`}${HAS_POOLER ? ' POOLER=1' : ''}`
console.log(`SEED=${SEED} SECONDS=${SECONDS} ${choices} npm run test:instances`)
const env = IS_CONTROL ? WITHOUT_LEASE : { REVOCATION_LEASE: LEASE }
const world = await startWorld({ teardown: atEnd }, { names: ['one', 'two', 'three'], env, hasPooler: HAS_POOLER })
const random = createRandom(SEED)
const tally = createTally()
for (const status of [200, 401, 503]) tally.add(`checks: ${status}`, 0)
const faults = createFaults(world, random, tally)
const crowd = createCrowd(world.instances, PEOPLE, random, tally)

let isOver = false
const revokers = Array.from({ length: REVOKERS }, () => createRevoker(world, random, tally, faults, () => isOver)())
await wait(CALM_MILLISECONDS)
const endsAt = performance.now() + SECONDS * 1000
const hasFound = () => IS_CONTROL && tally.of('checks: 200') > 0
while (performance.now() < endsAt && !hasFound()) {
  await crowd.liveUntil(faults.rage(Math.min(ROUND_MILLISECONDS, endsAt - performance.now()), hasFound))
}
isOver = true
await Promise.all(revokers)
await stopAll()
tally.print()
if (tally.violations.length > 0) saveLogs()
process.exit(verdict() ? 0 : 1)

async function stopAll () {
  const codes = await Promise.all(world.instances.map((instance) => instance.stop()))
  if (codes.some((code) => code !== 0)) tally.violate(`the instances ended with ${codes.join(', ')}`)
}

function saveLogs () {
  const folder = mkdtempSync(join(tmpdir(), 'postern-instances-'))
  for (const { name, lines } of world.instances) writeFileSync(join(folder, `${name}.log`), lines().join('\n'))
  console.log(`The logs of the instances are in ${folder}`)
}

function verdict (): boolean {
  if (!IS_CONTROL) return tally.violations.length === 0 && tally.of('checks: 401') > 0
  console.log(hasFound() ? 'The control run was found out.' : 'The control run was not found out: this test cannot fail.')
  return hasFound()
}
