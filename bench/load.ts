import { once } from 'node:events'
import { connect } from 'node:net'

const HEAD_END = Buffer.from('\r\n\r\n')
const LAST_CHUNK = Buffer.from('0\r\n\r\n')
const STATUS_AT = 'HTTP/1.1 '.length
const SUCCESS = '2'.charCodeAt(0)

export interface Load {
  /** The process that is asked. */
  of: { url: string, cpu: () => number }
  /** Gives what is sent next, on whichever connection is free. */
  next: () => Buffer
  connections?: number
  seconds?: number
}

export interface Measured {
  /** Answers a second. */
  rate: number
  /** How long they took, in milliseconds, the shortest first. */
  latencies: number[]
  /** Microseconds of processor time that the process used for each. */
  cost: number
}

/**
 * Keeps one request under way on each of some keep-alive connections. Throws when an answer is not 2xx.
 *
 * It knows just enough of HTTP for that: autocannon takes twice as long for a request, which is as long
 * as the service does, and beside it on two cores it would be half of what is measured.
 */
export async function load ({ of: { url, cpu }, next, connections = 20, seconds = 0.2 }: Load): Promise<Measured> {
  const latencies: number[] = []
  const usedBefore = cpu()
  const startedAt = performance.now()
  const endsAt = startedAt + seconds * 1000

  function answered (milliseconds: number): boolean {
    latencies.push(milliseconds)
    return performance.now() < endsAt
  }

  await Promise.all(Array.from({ length: connections }, () => converse(url, next, answered)))
  return {
    rate: latencies.length / (performance.now() - startedAt) * 1000,
    latencies: latencies.sort((a, b) => a - b),
    cost: (cpu() - usedBefore) / latencies.length * 1e6
  }
}

/** Asks again and again over one connection, for as long as `answered` says so. */
async function converse (url: string, next: () => Buffer, answered: (milliseconds: number) => boolean) {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).setNoDelay()
  let held: Buffer | undefined
  let sentAt = 0

  function send () {
    sentAt = performance.now()
    socket.write(next())
  }

  socket.on('data', (chunk: Buffer) => {
    held = held ? Buffer.concat([held, chunk]) : chunk
    if (!isWhole(held)) return
    if (held[STATUS_AT] !== SUCCESS) return socket.destroy(new Error(`${url} answered ${held}`))
    held = undefined
    if (answered(performance.now() - sentAt)) send()
    else socket.destroy()
  })
  send()
  await once(socket, 'close')
}

/** Whether nothing of an answer is still to come. */
function isWhole (answer: Buffer): boolean {
  const headEnd = answer.indexOf(HEAD_END)
  if (headEnd === -1) return false
  const head = answer.toString('latin1', 0, headEnd + 2)
  const [, length] = /content-length: (\d+)\r/i.exec(head) ?? []
  if (length !== undefined) return answer.length >= headEnd + HEAD_END.length + Number(length)
  return !/transfer-encoding: chunked\r/i.test(head) || answer.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)
}

/** A request as it goes over the wire. */
export function request (method: string, path: string, headers: Record<string, string> = {}, body?: object): Buffer {
  const content = body ? JSON.stringify(body) : ''
  const ofBody = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(content)) }
  const lines = Object.entries({ host: '127.0.0.1', ...headers, ...body && ofBody }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${content}`)
}

/** A request for each token. */
export function requestsWith (tokens: string[], path: string): Buffer[] {
  return tokens.map((token) => request('GET', path, { authorization: `Bearer ${token}` }))
}

/** Gives one after the other, and begins anew after the last. */
export function inTurn<Item> (items: Item[]): () => Item {
  let count = 0
  return () => items[count++ % items.length]! // there is at least one
}
