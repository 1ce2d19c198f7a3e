import { once } from 'node:events'
import { connect } from 'node:net'

const HEAD_END = Buffer.from('\r\n\r\n')
const LAST_CHUNK = Buffer.from('0\r\n\r\n')
const STATUS_AT = 'HTTP/1.1 '.length
const SUCCESS = '2'.charCodeAt(0)

export interface Load {
  /** The process under load. */
  of: { url: string, cpu: () => number }
  /** Returns the next request, for any free connection. */
  next: () => Buffer
  connections?: number
  seconds?: number
}

export interface Measured {
  /** Responses per second. */
  rate: number
  /** Their latencies in milliseconds, in ascending order. */
  latencies: number[]
  /** Processor time of the process for each, in microseconds. */
  cost: number
}

/**
 * Keeps one request in flight on each of several keep-alive connections. Throws when a response is not 2xx.
 *
 * It supports just enough HTTP for that. autocannon takes twice as long per request: as long as the service itself. On
 * two cores, half of a measurement would then be autocannon's.
 */
export async function load ({ of: { url, cpu }, next, connections = 20, seconds = 0.2 }: Load): Promise<Measured> {
  const latencies: number[] = []
  const usedBefore = cpu()
  const startedAt = performance.now()
  const endsAt = startedAt + seconds * 1000

  function onResponse (milliseconds: number): boolean {
    latencies.push(milliseconds)
    return performance.now() < endsAt
  }

  await Promise.all(Array.from({ length: connections }, () => repeatRequests(url, next, onResponse)))
  return {
    rate: latencies.length / (performance.now() - startedAt) * 1000,
    latencies: latencies.sort((a, b) => a - b),
    cost: (cpu() - usedBefore) / latencies.length * 1e6
  }
}

/** Sends requests over one connection until `onResponse` returns false. */
async function repeatRequests (url: string, next: () => Buffer, onResponse: (milliseconds: number) => boolean) {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).setNoDelay()
  let received: Buffer | undefined
  let sentAt = 0

  function send () {
    sentAt = performance.now()
    socket.write(next())
  }

  socket.on('data', (chunk: Buffer) => {
    received = received ? Buffer.concat([received, chunk]) : chunk
    if (!isComplete(received)) return
    if (received[STATUS_AT] !== SUCCESS) return socket.destroy(new Error(`${url} answered ${received}`))
    received = undefined
    if (onResponse(performance.now() - sentAt)) send()
    else socket.destroy()
  })
  send()
  await once(socket, 'close')
}

/** True for a complete response. */
function isComplete (answer: Buffer): boolean {
  const headEnd = answer.indexOf(HEAD_END)
  if (headEnd === -1) return false
  const head = answer.toString('latin1', 0, headEnd + 2)
  const [, length] = /content-length: (\d+)\r/i.exec(head) ?? []
  if (length !== undefined) return answer.length >= headEnd + HEAD_END.length + Number(length)
  return !/transfer-encoding: chunked\r/i.test(head) || answer.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)
}

/** The bytes of a request. */
export function request (method: string, path: string, headers: Record<string, string> = {}, body?: object): Buffer {
  const content = body ? JSON.stringify(body) : ''
  const ofBody = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(content)) }
  const lines = Object.entries({ host: '127.0.0.1', ...headers, ...body && ofBody }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${content}`)
}

/** A login as a gateway passes it on, from one of 1,024 addresses: one client gets no more than its share of the hashing. */
export function loginRequest (username: string, password: string, i: number): Buffer {
  return request('POST', '/auth/login', { 'x-forwarded-for': `10.0.${i >> 8 & 3}.${i & 255}` }, { username, password })
}

/** A request for each token. */
export function requestsWith (tokens: string[], path: string): Buffer[] {
  return tokens.map((token) => request('GET', path, { authorization: `Bearer ${token}` }))
}

/** Returns the items in turn, and starts again after the last. */
export function inTurn<Item> (items: Item[]): () => Item {
  let count = 0
  return () => items[count++ % items.length]! // there is at least one
}
