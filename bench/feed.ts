import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { figureOf, interleaved, median, onDatabase, startService } from './harness.ts'
import { load, request } from './load.ts'
import { seed } from './seed.ts'
import type { Seeded } from './seed.ts'

const FOLLOWERS = 1000
const LOGOUTS_A_ROUND = 20
const PAUSE_MILLISECONDS = 50

/** The delay that followers of the revocation feed add to a logout. */
export default async function feed () {
  const alone = await withSessions()
  const followed = await withSessions()
  const workerData = { url: followed.service.url, count: FOLLOWERS, credentials: followed.credentials }
  const followers = new Worker(new URL('followers.ts', import.meta.url), { workerData })
  await once(followers, 'message') // all are connected

  const { without, withFollowers } = await interleaved({ without: alone.logOut, withFollowers: followed.logOut })
  followers.postMessage('count')
  const [received] = await once(followers, 'message') as [number]
  await followers.terminate()
  await Promise.all([alone.service.stop(), followed.service.stop()])

  return [
    figureOf('logout with no followers, median (ms)', without.map(median)),
    figureOf('logout with 1,000 followers, median (ms)', withFollowers.map(median)),
    figureOf('how much later that is (ms)', withFollowers.map((values, i) => median(values) - median(without[i]!)), '≤ 5'),
    figureOf('its slowest logout (ms)', withFollowers.map((values) => Math.max(...values))),
    figureOf('share of what the followers should have been told', [received / (followed.count() * FOLLOWERS)])
  ]
}

async function withSessions () {
  const { folder, sample } = await seed({ users: 1000, sampled: 1000 })
  const secret = await onDatabase(folder, ({ apiClients }) => apiClients.create('followers'))
  const service = await startService({ folder })
  let count = 0

  const next = () => {
    const { accessToken } = sample[count++] as Seeded // the sample is larger than the number of logouts
    return request('POST', '/auth/logout', { authorization: `Bearer ${accessToken}` })
  }

  return {
    service,
    credentials: Buffer.from(`followers:${secret}`).toString('base64'),
    count: () => count,

    async logOut (): Promise<number[]> {
      const milliseconds: number[] = []
      for (let i = 0; i < LOGOUTS_A_ROUND; i++) {
        const { latencies } = await load({ of: service, next, connections: 1, seconds: 0 })
        milliseconds.push(...latencies)
        await sleep(PAUSE_MILLISECONDS)
      }
      return milliseconds
    }
  }
}
