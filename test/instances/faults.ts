import { setTimeout as wait } from 'node:timers/promises'
import type { Random } from '../chaos/service.ts'
import type { Direction, Proxy } from './proxy.ts'
import type { Instance } from './service.ts'
import type { Tally } from './tally.ts'
import type { World } from './world.ts'

const SHORTEST_MILLISECONDS = 50
const LONGEST_MILLISECONDS = 3000
const LEAST_PAUSE_MILLISECONDS = 100
const MOST_PAUSE_MILLISECONDS = 900
const SETTLE_MILLISECONDS = 500
const DIRECTIONS: Direction[] = ['to server', 'to client']

/** As often as it stands here. */
const FAULTS = [
  'cut', 'cut', 'cut', 'stall', 'stall', 'stall', 'half-open', 'half-open', 'half-open', 'SIGSTOP', 'SIGSTOP', 'SIGSTOP',
  'refuse', 'kill -9 of an instance', 'kill -9 of an instance', 'kill -9 of the postmaster', 'kill -9 of the postmaster'
] as const

export type Faults = ReturnType<typeof createFaults>

/** Faults by chance: at most one of each instance at a time, and at most one of the database. */
export function createFaults ({ instances, proxies, cluster }: World, { between, oneOf }: Random, tally: Tally) {
  const underWay = new Map<Instance | typeof cluster, Promise<void>>()
  let begun = 0

  const someTime = () => wait(between(SHORTEST_MILLISECONDS, LONGEST_MILLISECONDS))

  async function meet (fault: typeof FAULTS[number], instance: Instance, proxy: Proxy) {
    switch (fault) {
      case 'cut':
        return proxy.cut()
      case 'stall':
        proxy.stall()
        await someTime()
        return proxy.resume()
      case 'half-open':
        proxy.halfOpen(oneOf(DIRECTIONS))
        await someTime()
        return proxy.resume()
      case 'refuse':
        proxy.refuse()
        await someTime()
        return proxy.resume()
      case 'SIGSTOP':
        instance.pause()
        await someTime()
        return instance.resume()
      case 'kill -9 of an instance':
        await instance.kill()
        return instance.restart()
      case 'kill -9 of the postmaster':
        await cluster.kill()
        await wait(between(0, MOST_PAUSE_MILLISECONDS))
        return cluster.start()
    }
  }

  function begin () {
    const fault = oneOf(FAULTS)
    const index = Math.floor(between(0, instances.length))
    const [instance, proxy] = [instances[index], proxies[index]]
    const target = fault === 'kill -9 of the postmaster' ? cluster : instance
    if (!instance || !proxy || !target || underWay.has(target)) return
    begun++
    tally.add(`fault: ${fault}`)
    underWay.set(target, meet(fault, instance, proxy).finally(() => underWay.delete(target)))
  }

  async function untilOver () {
    while (underWay.size > 0) await Promise.all(underWay.values())
  }

  return {
    /** Differs after a time in which there was a fault. */
    mark: () => underWay.size > 0 ? NaN : begun,

    /** Names of instances with a fault at this moment. */
    now: () => [...underWay.keys()].map((target) => 'name' in target ? target.name : 'database').join(', ') || 'nothing',

    /** Makes faults for so long; when it resolves all of them are over, and what was under way has arrived. */
    async rage (milliseconds: number, isEnough: () => boolean) {
      const until = performance.now() + milliseconds
      while (!isEnough() && performance.now() < until) {
        begin()
        await wait(between(LEAST_PAUSE_MILLISECONDS, MOST_PAUSE_MILLISECONDS))
      }
      await untilOver()
      await Promise.all(instances.map((instance) => instance.untilReady()))
      await wait(SETTLE_MILLISECONDS)
    }
  }
}
