import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer as createSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build, createClock, forge, signIn, signUp, signUpAdmin } from '../../test/helper.ts'
import { start } from '../../test/processes.ts'
import { fillIn } from './gateways.ts'
import type { IncomingHttpHeaders, IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { Gateway } from './gateways.ts'

const HOUR_SECONDS = 3600
const WEBSOCKET = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11' // RFC 6455, section 1.3
const TIMEOUT_MILLISECONDS = 10_000

/** A request as it arrived at the service behind the gateways. */
export interface Arrived {
  method: string
  url: string
  headers: IncomingHttpHeaders
  trailers: NodeJS.Dict<string>
  length: number
  digest: string
}

export type World = Awaited<ReturnType<typeof createWorld>>

/** Ports, a database that contains an expired session, and a service that records its requests. */
export async function createWorld (t: Test) {
  const folder = await makeFolder(join(tmpdir(), 'postern-gateways-'))
  t.teardown(() => rm(folder, { recursive: true }))

  const posternPort = await freePort()
  const env = {
    PORT: String(posternPort),
    DATABASE_URL: `file:${folder}/postern.db`,
    ISSUER: `http://127.0.0.1:${posternPort}`,
    TRUST_PROXY: '127.0.0.1',
    VERIFY_PREFLIGHT: 'allow',
    LOG_LEVEL: 'info'
  }
  const past = await seed(t, env)
  const service = await createService(t)

  /** Signs in with an access token that expires after two seconds. */
  async function signInBriefly (t: Test) {
    const server = await build(t, { env: { ...env, ACCESS_TOKEN_TTL: '2s' } })
    return signIn(server, 'the-admin')
  }

  return { folder, env, posternPort, signInBriefly, ...past, ...service }
}

/** Makes a folder that Apache can read as any user. */
async function makeFolder (prefix: string): Promise<string> {
  const folder = await mkdtemp(prefix)
  await chmod(folder, 0o755)
  return folder
}

/** Signs users up two hours ago, and makes tokens that are good too late and too early, with Postern's own code in the same database. */
async function seed (t: Test, env: Record<string, string>) {
  const { now } = createClock(Date.now() - 2 * HOUR_SECONDS * 1000)
  const server = await build(t, { env, now })
  const { access_token: expired } = await signUp(server)
  const { publicKey: pem, privateKey } = server.signingKeys.current()
  const seconds = Math.floor(Date.now() / 1000)
  const early = forge(expired, privateKey, { nbf: seconds + HOUR_SECONDS, exp: seconds + 2 * HOUR_SECONDS })
  await signUpAdmin(server, 'the-admin')
  const secret = await server.apiClients.create('apache') ?? ''
  await server.close()
  return { expired, early, secret, pem }
}

async function createService (t: Test) {
  const arrivals = new Map<unknown, Arrived>()

  const service = createServer({ maxHeaderSize: 64 * 1024 }, (request, response) => {
    const digest = createHash('sha256')
    let length = 0
    request.on('data', (chunk: Buffer) => { digest.update(chunk); length += chunk.length })
    request.on('end', () => {
      arrivals.set(request.headers['x-test'], { ...describe(request), trailers: request.trailers, length, digest: digest.digest('hex') })
      response.end()
    })
  })
  service.on('upgrade', (request, socket) => {
    arrivals.set(request.headers['x-test'], { ...describe(request), trailers: {}, length: 0, digest: '' })
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${WEBSOCKET}`).digest('base64')
    socket.end(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
  })
  const servicePort = await listening(t, service)
  return { arrivals, servicePort }
}

function describe ({ method = '', url = '', headers }: IncomingMessage) {
  return { method, url, headers }
}

async function listening (t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return (server.address() as AddressInfo).port // it listens on a port
}

/** Listens on Postern's port, accepts connections and never answers. */
export async function createSilentServer (t: Test, port: number) {
  const sockets = new Set<{ destroy: () => void }>()
  const server = createSocket((socket) => { sockets.add(socket.on('error', () => {})) })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
}

/** Finds a port that nothing listens on. Use it at once, before another process does. */
export async function freePort (): Promise<number> {
  const server = createSocket().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens on a port
  server.close()
  await once(server, 'close')
  return port
}

type Surroundings = Pick<World, 'folder' | 'posternPort' | 'servicePort' | 'secret' | 'pem'>

/** Runs a gateway with its shipped configuration until the test ends. Returns its port: any free one, unless one is given. */
export async function run (t: Test, { name, configuration, otherFiles = [], prepare }: Gateway, { folder: parent, posternPort, servicePort, secret, pem }: Surroundings, port?: number): Promise<number> {
  const folder = await makeFolder(join(parent, 'gateway-'))
  const ports = { postern: posternPort, service: servicePort, gateway: port ?? await freePort() }
  const words = { CLIENT_SECRET: secret, '/var/cache/nginx-postern': join(folder, 'cache'), 'LuaRoot /etc/apache2': `LuaRoot ${folder}` }
  const files = [configuration, ...otherFiles].map((file) => ({ file, to: join(folder, basename(file)) }))
  for (const { file, to } of files) await fillIn(file, to, ports, words)
  for (const file of ['postern.pem', 'postern-next.pem']) await writeFile(join(folder, file), pem)

  const child = start(t, { cwd: folder, command: await prepare(folder, files[0]!.to, ports) })
  await Promise.race([
    untilListening(ports.gateway),
    child.ends().then(async (code) => { throw new Error(`${name} ended with ${code}: ${await readFile(join(folder, 'error.log'), 'utf8').catch(() => '')}`) })
  ])
  return ports.gateway
}

/** Waits until something listens on a port. */
async function untilListening (port: number) {
  const end = Date.now() + TIMEOUT_MILLISECONDS
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(() => true, () => false)
    socket.destroy()
    if (isOpen) return
    if (Date.now() > end) throw new Error(`nothing listens on port ${port}`)
    await sleep(20)
  }
}

export interface RequestOptions {
  method?: string
  token?: string
  headers?: Record<string, string | string[]>
  body?: Buffer
  /** Sends the body in chunks, without its length. */
  isChunked?: boolean
  /** Headers after a body in chunks. */
  trailers?: Record<string, string>
}

/** Sends a request without changing its path. Returns the response, and the request as it arrived at the service behind the gateway. */
export async function send ({ arrivals }: World, port: number, path: string, { method = 'GET', token, headers = {}, body, isChunked = false, trailers = {} }: RequestOptions = {}) {
  const id = randomUUID()
  const sent = request({
    port,
    host: '127.0.0.1',
    method,
    path,
    agent: false,
    headers: {
      'x-test': id,
      ...token !== undefined && { authorization: `Bearer ${token}` },
      ...body && !isChunked && { 'content-length': body.length },
      ...headers
    }
  })
  if (isChunked) sent.write('')
  sent.addTrailers(trailers)
  sent.end(body)

  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    sent.on('response', resolve)
    sent.on('upgrade', (response: IncomingMessage, socket) => { socket.destroy(); resolve(response) })
    sent.on('error', reject)
  })
  const response = await answered
  const text = response.statusCode === 101 ? '' : await textOf(response)
  return { status: response.statusCode ?? 0, headers: response.headers, challenges: challengesOf(response), text, arrived: arrivals.get(id) }
}

async function textOf (response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return text
}

function challengesOf ({ rawHeaders }: IncomingMessage): string[] {
  return rawHeaders.filter((_value, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === 'www-authenticate')
}
