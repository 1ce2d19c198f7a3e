// A thread that follows revocations over many connections. It reports when all are open, and counts the events.
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { parentPort, workerData } from 'node:worker_threads'
import type { IncomingMessage } from 'node:http'

const { url, count, credentials } = workerData as { url: string, count: number, credentials: string }
const agent = new Agent({ maxSockets: Infinity })
let received = 0

async function follow () {
  const [answer] = await once(request(`${url}/revocations`, { agent, headers: { authorization: `Basic ${credentials}` } }).end(), 'response') as [IncomingMessage]
  if (answer.statusCode !== 200) throw new Error(`/revocations answered ${answer.statusCode}`)
  answer.setEncoding('utf8').on('data', (text: string) => { received += text.split('event: revoked').length - 1 })
}

for (let i = 0; i < count; i++) await follow()
parentPort?.on('message', () => parentPort?.postMessage(received)).postMessage('connected')
