import fc from 'fast-check'
import { PASSWORD, basic, createClock } from '../helper.ts'
import { people, signIn } from './people.ts'
import { refreshing } from './refreshing.ts'
import { assertAgreement, surroundings } from './surroundings.ts'
import { HOME, createWorld } from './world.ts'
import { toColumns } from '../../plugins/accounts/canonical-names.ts'
import type { FastifyInstance } from 'fastify'
import type { Play, Step } from './play.ts'

const PEOPLE = 2
const RUNS_A_ROUND = 5
const MOST_SHRINKING_MILLISECONDS = 30_000

const story = fc.array(fc.oneof(...refreshing, ...people, ...surroundings), { minLength: 1, maxLength: 400, size: 'max' })

interface Options {
  /** How many steps to play at least. */
  steps: number
  seed: number
  /** Starts the service on the same database every time. */
  start: (clock: ReturnType<typeof createClock>) => Promise<FastifyInstance>
  /** Called from time to time with the number of steps so far. */
  onProgress: (steps: number) => void
}

/**
 * Plays random steps against the service and the model, and compares them; gives how many.
 * @throws what fast-check says: the shortest story in which they differ, and the seed that tells it again
 */
export async function exercise ({ steps, seed, start, onProgress }: Options): Promise<number> {
  const clock = createClock()
  let service = await start(clock)
  const progress = { played: 0 }
  let names = 0
  const passwordHash = await service.passwords.hash(PASSWORD)
  const client = basic('model', (await service.apiClients.create('model'))!) // the database is new

  async function restart () {
    await service.db.serviceState.record({ FORGET_FROM: String(service.forgetBefore(0)) }, clock.now()) // as a job does each minute
    await service.close()
    service = await start(clock)
  }

  /** The same service goes on from story to story; every story has people of its own. */
  async function begin (): Promise<Play> {
    const world = createWorld(clock.now)
    const send: Play['send'] = (method, url, headers = {}, payload) => service.inject({ method, url, headers: { 'user-agent': HOME, ...headers }, payload })
    const play = { world, clock, service: () => service, restart, send, client }
    await service.db.users.removeAll()
    for (let i = 0; i < PEOPLE; i++) {
      const username = `person${++names}`
      const { id } = await service.db.users.add({ id: username, ...toColumns({ username }), passwordHash, roles: [], createdAt: clock.now() })
      world.people.push({ id, username, password: PASSWORD, isDisabled: false })
    }
    await signIn(play, world.people[0]!)
    return play
  }

  const property = fc.asyncProperty(story, async (steps: Step[]) => {
    const scene = await begin()
    for (const { play } of steps) {
      await play(scene)
      progress.played++
    }
    await assertAgreement(scene)
  })

  try {
    for (let round = seed; progress.played < steps; round++) {
      await fc.assert(property, { seed: round, numRuns: RUNS_A_ROUND, interruptAfterTimeLimit: MOST_SHRINKING_MILLISECONDS, markInterruptAsFailure: true })
      onProgress(progress.played)
    }
  } finally {
    await service.close()
  }
  return progress.played
}
