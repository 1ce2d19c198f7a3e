import { join } from 'node:path'
import { build, createClock } from '../helper.ts'
import { exercise } from './exercise.ts'
import { ENVIRONMENT } from './world.ts'
import { numberFrom, seedFromEnvironment, showProgress, temporaryFolder } from '../program.ts'

/** Plays STEPS random steps from SEED against the service and the model of it, and ends with code 1 where they differ. */
const steps = numberFrom('STEPS', 500_000)
const seed = seedFromEnvironment()
const env = { ...ENVIRONMENT, DATABASE_URL: `file:${join(temporaryFolder(), 'postern.db')}`, DOCS: 'off', ARGON2_THREADS: '1' }
const start = (clock: ReturnType<typeof createClock>) => build({ teardown () {} }, { env, ...clock }) // `exercise` closes it
const startedAt = Date.now()

console.log(`model: seed ${seed}`)
const played = await exercise({ steps, seed, start, onProgress: (steps) => showProgress(`${steps} steps`) })
console.log(`model: ${played} steps in ${Math.round((Date.now() - startedAt) / 1000)} s, and the service did as the model says`)
