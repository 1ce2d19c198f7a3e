import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { startService } from './harness.ts'
import { inTurn } from './load.ts'
import type { IncomingMessage } from 'node:http'
import type { Seeded } from './seed.ts'

/** Logouts, and what every instance said to their tokens right after the answer. */
export interface Logouts { latencies: number[], statuses: number[] }

export type Instances = Awaited<ReturnType<typeof startInstances>>

/** Instances on one database, each a process. Sessions end one after the other, at each instance in turn. */
export async function startInstances (count: number, env: Record<string, string>, sample: Seeded[]) {
  const services = await Promise.all(Array.from({ length: count }, () => startService({ env })))
  const agent = new Agent({ keepAlive: true })
  const nextService = inTurn(services)
  const tokens = sample.map(({ accessToken }) => accessToken)
  let ending: string[] = []

  async function statusOf (url: string, method: string, path: string, token: string): Promise<number> {
    const sent = request(url + path, { method, agent, headers: { authorization: `Bearer ${token}` } }).end()
    const [answer] = await once(sent, 'response') as [IncomingMessage]
    await once(answer.resume(), 'end')
    return answer.statusCode ?? 0
  }

  const verifyEverywhere = (token: string) => Promise.all(services.map(({ url }) => statusOf(url, 'GET', '/verify', token)))

  return {
    /** Lets every instance see the next tokens, and remember them as good. */
    async prepare (logouts: number) {
      ending = tokens.splice(0, logouts)
      for (const token of ending) {
        const statuses = await verifyEverywhere(token)
        if (statuses.some((status) => status !== 200)) throw new Error(`Before the logout /verify answered ${statuses}.`)
      }
    },

    /** Logs the next session out, and asks every instance at once. Gives false when none is left of those prepared. */
    async logOut ({ latencies, statuses }: Logouts): Promise<boolean> {
      const token = ending.pop()
      if (token === undefined) return false
      const sentAt = performance.now()
      const status = await statusOf(nextService().url, 'POST', '/auth/logout', token)
      latencies.push(performance.now() - sentAt)
      if (status !== 204) throw new Error(`A logout was answered with ${status}.`)
      statuses.push(...await verifyEverywhere(token))
      return true
    },

    async stop () {
      agent.destroy()
      await Promise.all(services.map(({ stop }) => stop()))
    }
  }
}
