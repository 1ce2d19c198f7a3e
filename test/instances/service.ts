import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../postgres/free-port.ts'
import { start } from '../processes.ts'
import type { Scope } from '../postgres/programs.ts'

const PATIENCE_MILLISECONDS = 30_000
const LOOK_MILLISECONDS = 50
const AGAIN_MILLISECONDS = 200
const LAST_LINES = 3
const FATAL = '"level":60'

/** For all instances: 32 bytes, in base64. */
export const MASTER_KEY = Buffer.alloc(32, 'one key for all').toString('base64')

/** Both times are longer than any fault. */
const SETTINGS = { MASTER_KEY, ISSUER: 'http://127.0.0.1', REFRESH_GRACE: '60s', ACCESS_TOKEN_TTL: '1h' }

interface InstanceOptions { databaseUrl: string, env: Record<string, string> }

export type Instance = Awaited<ReturnType<typeof startInstance>>

export interface RequestOptions {
  /** For `Authorization`: see `bearer` and `basic`. */
  headers?: Record<string, string>
  body?: object
  /** Rejects with a `TimeoutError` after that. */
  patience?: number
}

/** The service in a process of its own, on a port that it keeps when it starts again. */
export async function startInstance (t: Scope, name: string, { databaseUrl, env }: InstanceOptions) {
  const port = await freePort()
  const address = `http://127.0.0.1:${port}`
  const surroundings = { env: { ...SETTINGS, DATABASE_URL: databaseUrl, PORT: String(port), ...env } }
  let service = start(t, surroundings)
  let isEnding = false
  const earlierLines: string[] = []

  /** False when it has ended instead: it does not start without its database. */
  function isUp (): Promise<boolean> {
    return Promise.race([service.says('ready: ').then(() => true), service.ends().then(() => false)])
  }

  async function request (method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const { headers, body, patience = PATIENCE_MILLISECONDS } = options
    return fetch(address + path, {
      method,
      headers: { ...headers, ...body && { 'content-type': 'application/json' } },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(patience)
    })
  }

  async function status (path: string): Promise<number> {
    const response = await request('GET', path)
    await response.arrayBuffer()
    return response.status
  }

  async function untilReady () {
    const deadline = performance.now() + PATIENCE_MILLISECONDS
    while (await status('/health/ready').catch(() => 0) !== 200) {
      if (performance.now() > deadline) throw new Error(`Instance ${name} is not ready after ${PATIENCE_MILLISECONDS} ms.`)
      await wait(LOOK_MILLISECONDS)
    }
  }

  /** An instance that ends by itself ends the program: nobody catches the error. */
  function watch () {
    isEnding = false
    const { ends, lines } = service
    ends().then((code) => {
      const told = lines().filter((line, i, { length }) => line.includes(FATAL) || i >= length - LAST_LINES)
      if (!isEnding) throw new Error(`Instance ${name} ended by itself with ${code}:\n${told.join('\n')}`)
    })
  }

  function end (signal: NodeJS.Signals): Promise<number | null> {
    isEnding = true
    return service.ends(signal)
  }

  if (!await isUp()) throw new Error(`Instance ${name} did not start.`)
  watch()
  await untilReady()

  return {
    name,
    address,
    pid: () => service.pid,
    request,
    status,
    untilReady,

    /** Ends it in order, and gives its exit code. */
    stop: () => end('SIGTERM'),

    kill: () => end('SIGKILL'),

    /** Starts it again after it has ended: as often as it takes, as a supervisor does. */
    async restart () {
      earlierLines.push(...service.lines())
      do {
        await wait(AGAIN_MILLISECONDS)
        service = start(t, surroundings)
      } while (!await isUp())
      watch()
    },

    /** Stops all of it, as a machine does that is suspended. */
    pause () { process.kill(service.pid, 'SIGSTOP') },

    resume () { process.kill(service.pid, 'SIGCONT') },

    /** The lines of its log so far. */
    lines: () => [...earlierLines, ...service.lines()]
  }
}
