import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startServer } from '../processes.ts'

export type Service = Awaited<ReturnType<typeof startService>>

const leftovers: Array<() => void> = []
process.once('exit', () => { for (const end of leftovers) end() })
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1)) // which runs them, too

/** Runs when the program ends; what came last comes first. */
export function atEnd (end: () => void) {
  leftovers.unshift(end)
}

/** A folder that goes when the program ends. */
export function newFolder (): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-chaos-'))
  atEnd(() => rmSync(folder, { recursive: true }))
  return folder
}

export function databaseIn (folder: string): string {
  return join(folder, 'postern.db')
}

/** The service as `npm start` starts it, on the database of a folder. */
export async function startService (folder: string, env: Record<string, string> = {}) {
  const startedAt = performance.now()
  const server = await startServer({ teardown: atEnd }, { env: { DATABASE_URL: `file:${databaseIn(folder)}`, ISSUER: 'http://127.0.0.1', ...env } })

  /** Asks as a good client does: comes back as soon as a 503 says that it may. */
  async function request (...args: Parameters<typeof server.request>): Promise<Response> {
    for (;;) {
      const response = await server.request(...args)
      if (response.status !== 503) return response
      await response.arrayBuffer()
      await wait(Number(response.headers.get('retry-after')) * 1000)
    }
  }

  return { ...server, ask: server.request, request, ...processOf(server.pid), startMilliseconds: performance.now() - startedAt }
}

/** What Linux tells of a process. */
function processOf (pid: number) {
  return {
    /** How many files and connections it has open. */
    openFiles: () => readdirSync(`/proc/${pid}/fd`).length,

    /** Resident memory in MiB: now, and the most since it started. */
    memory () {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      const mebibytes = (name: string) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024)
      return { now: mebibytes('VmRSS'), most: mebibytes('VmHWM') }
    }
  }
}

/** Numbers from 0 up to 1 that a seed repeats (mulberry32). */
export function createRandom (seed: number) {
  let state = seed >>> 0
  function next (): number {
    state = (state + 0x6D2B79F5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  return {
    between: (least: number, most: number) => least + next() * (most - least),
    oneOf: <Item>(items: readonly Item[]) => items[Math.floor(next() * items.length)]! // there is at least one
  }
}

export type Random = ReturnType<typeof createRandom>
