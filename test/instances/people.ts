import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { createPerson } from '../chaos/person.ts'
import { bearer } from '../helper.ts'
import type { Person } from '../chaos/person.ts'
import type { Random, Service } from '../chaos/service.ts'
import type { Instance } from './service.ts'
import type { Tally } from './tally.ts'

const AGAIN_MILLISECONDS = 100
/** So many may wait for the next calm to be asked; then nobody takes the place of those who got no answer. */
const MOST_IN_DOUBT = 60

type Ask = Service['request']

/** People who use all instances in turn, as through a load balancer, until it is calm; then all that they were answered must hold. */
export function createCrowd (instances: Instance[], count: number, random: Random, tally: Tally) {
  const inDoubt: Person[] = []
  let survivors: Person[] = []
  let turn = 0
  let isCalm = true

  /** Requests that follow each other go to different instances, and so do the two of a race. */
  const send: Ask = (method, path, { token, body } = {}) => {
    const instance = instances[turn++ % instances.length]! // there are some
    return instance.request(method, path, { headers: token === undefined ? {} : bearer(token), body })
  }

  /** A 503 leaves it open whether anything happened. */
  const restless: Ask = async (...request) => {
    if (isCalm) throw new Error('It is calm: nothing more is begun.')
    const response = await send(...request)
    if (response.status !== 503) return response
    await response.arrayBuffer()
    throw new Error('The outcome is unknown.')
  }

  const patient: Ask = async (...request) => {
    for (;;) {
      const response = await send(...request)
      if (response.status !== 503) return response
      await response.arrayBuffer()
      await wait(AGAIN_MILLISECONDS)
    }
  }

  /** False when a promise was broken: nothing can be said of that person any more. */
  async function isRight (person: Person, action: 'live' | 'check'): Promise<boolean> {
    const request = action === 'live' ? restless : patient
    try {
      await person[action]({ request } as Service) // a person asks for nothing else of it
      return true
    } catch (error) {
      if (!(error instanceof assert.AssertionError)) throw error
      tally.violate(`a person: ${error.message}`)
      return false
    }
  }

  /** Gives the one who lives when it gets calm. Whoever got no answer before makes room for another. */
  async function occupy (first: Person): Promise<Person | undefined> {
    for (let person = first; ; person = createPerson(random)) {
      const before = person.acknowledged()
      const isGood = await isRight(person, 'live')
      tally.add('answers to people', person.acknowledged() - before)
      if (isCalm) return isGood ? person : undefined
      if (isGood) inDoubt.push(person)
      if (inDoubt.length >= MOST_IN_DOUBT) return undefined
    }
  }

  return {
    /** Lives until `calm` resolves, then checks everybody. */
    async liveUntil (calm: Promise<unknown>) {
      isCalm = false
      const lives = Promise.all(Array.from({ length: count }, (_, place) => occupy(survivors[place] ?? createPerson(random))))
      await calm
      isCalm = true
      survivors = (await lives).filter((person) => person !== undefined)

      await Promise.all([...survivors, ...inDoubt.splice(0)].map(async (person) => {
        await isRight(person, 'check')
        tally.add('people checked, all of whose answers hold')
      }))
    }
  }
}
