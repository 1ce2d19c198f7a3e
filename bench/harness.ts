import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const START_ARGUMENTS = ['--max-semi-space-size=8', '--import', './check-node.js', 'server.ts'] // as `npm start` has them

export const PASSWORD = 'seven yellow umbrellas'

/** The service as `npm start` starts it, in a process and a folder of its own. */
export async function startService (env: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  const startedAt = performance.now()
  const child = spawn(process.execPath, START_ARGUMENTS, {
    cwd: ROOT,
    env: { ...process.env, PORT: '0', LOG_LEVEL: 'info', RATE_LIMIT: 'off', DATABASE_URL: `file:${join(folder, 'postern.db')}`, ...env },
    stdio: ['ignore', 'pipe', 'inherit']
  })

  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => { output = (output + chunk).slice(-65_536) })
  while (!output.includes('ready: ')) await once(child.stdout, 'data')
  const url = /ready: (?:open )?(http:\/\/[^/"\s]+)/.exec(output)?.[1] ?? ''
  await fetch(`${url}/health/live`)

  return {
    url,
    startMilliseconds: performance.now() - startedAt,
    /** Resident memory in MiB. */
    memory: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024,
    async stop () {
      child.kill()
      await once(child, 'exit')
      rmSync(folder, { recursive: true })
    }
  }
}

/** JSON in, JSON out. */
export async function post (url: string, body: object): Promise<Record<string, string>> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`)
  return await response.json() as Record<string, string> // every answer here is an object
}

/** Requests a second that `request` gets from keep-alive connections; throws when any answer is not 2xx. */
export async function throughput (options: autocannon.Options): Promise<number> {
  const result = await autocannon({ connections: 20, duration: 3, ...options })
  if (result.non2xx + result.errors > 0) throw new Error(`${options.url}: ${result.non2xx} answers were not 2xx, ${result.errors} were none`)
  return result.requests.average
}

export function median (values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? NaN
}

/** Runs every variant once a round, in turn, so that a slow moment of the machine falls on all of them. */
export async function interleaved<Name extends string> (rounds: number, variants: Record<Name, () => Promise<number>>) {
  const names = Object.keys(variants) as Name[] // the keys of what was passed in
  const results = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = 0; round < rounds; round++) {
    for (const name of names) results[name].push(await variants[name]())
  }
  return results
}

/** A row of the table: the median and the spread of what was seen, beside what is to be reached. */
export interface Figure {
  figure: string
  median: number
  min: number
  max: number
  reach: string
}

export function figureOf (figure: string, values: number[], reach: string): Figure {
  const round = (value: number) => Number(value.toPrecision(3))
  return { figure, median: round(median(values)), min: round(Math.min(...values)), max: round(Math.max(...values)), reach }
}
