import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import { percentile } from '../../bench/harness.ts'

const PAUSE_MILLISECONDS = 5

export interface Watched {
  /** Milliseconds that an answer took. */
  p50: number
  p99: number
  most: number
  answers: number
  /** How many of them were not 200. */
  refused: number
}

/** Somebody who asks /verify all the time over one connection, in a thread of its own; gives what it saw when it is stopped. */
export async function watch (address: string, token: string): Promise<() => Promise<Watched>> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { address, token } })
  await once(worker, 'message') // it has the first answer
  return async () => {
    worker.postMessage('stop')
    const [watched] = await once(worker, 'message')
    return watched
  }
}

async function stand ({ address, token }: { address: string, token: string }) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const latencies: number[] = []
  let refused = 0
  const stop = new AbortController()
  parentPort?.once('message', () => stop.abort())

  async function verify (): Promise<number | undefined> {
    const [response] = await once(get(`${address}/verify`, { agent, headers: { authorization: `Bearer ${token}` } }), 'response')
    await once(response.resume(), 'end')
    return response.statusCode
  }

  while (!stop.signal.aborted) {
    const sentAt = performance.now()
    const status = await verify().catch(verify) // an idle connection may be closed at any moment: as gateways do, once more on a new one
    if (latencies.push(performance.now() - sentAt) === 1) parentPort?.postMessage('ready')
    if (status !== 200) refused++
    await wait(PAUSE_MILLISECONDS)
  }

  latencies.sort((a, b) => a - b)
  agent.destroy()
  parentPort?.postMessage({ p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), most: latencies.at(-1), answers: latencies.length, refused })
}

if (!isMainThread) await stand(workerData)
