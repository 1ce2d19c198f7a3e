import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import { options, plugins } from '../app.ts'
import manifest from '../package.json' with { type: 'json' }
import { readConfig } from '../plugins/core/config/index.ts'
import type { FastifyInstance } from 'fastify'

export { alone } from './alone.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const [, ...START_ARGUMENTS] = manifest.scripts.start.replace(/^exec /, '').split(' ')
const CLOCK_TICKS_A_SECOND = 100
const PAGES_A_MIB = 256

/**
 * Rounds of a measurement, and of one that takes a fifth of a second. The speed of the machine drifts, so many short
 * rounds that alternate compare better than a few long ones.
 */
export const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5)
export const MANY_ROUNDS = 7 * ROUNDS
const WARM_UP = 1 / 5
export const PASSWORD = 'seven yellow umbrellas'

const leftovers: Array<() => void> = []
process.once('exit', () => { for (const remove of leftovers) remove() })

/** Makes a folder for a database. It is removed when the run ends. */
export function newFolder (): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  leftovers.push(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Production's settings, except for the limits: requests and logins are counted but practically never refused. */
function environment (folder: string) {
  return { PORT: '0', ISSUER: 'http://127.0.0.1', DATABASE_URL: `file:${join(folder, 'postern.db')}`, RATE_LIMIT_ADDRESS: '1000000/1s', RATE_LIMIT_GUESSES: '1000000/1s', RATE_LIMIT_ACCOUNT: '1000000/1s', RATE_LIMIT_PAIR: '1000000/1s' }
}

/** The load comes as a gateway's, so that `loginRequest` has an address of its own for each. */
export const BEHIND_A_GATEWAY = { TRUST_PROXY: '127.0.0.1' }

/** Starts a script that prints `ready: ` and its address. It stays in this session, so that nice values count between the two (see storm.ts). */
export async function startProcess (args: string[], env: Record<string, string> = {}, readyPath = '/') {
  const startedAt = performance.now()
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...process.env, NODE_ENV: 'production', ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  leftovers.unshift(() => child.kill())
  child.once('exit', (code) => { if (code) throw new Error(`${args.at(-1)} ended with code ${code}`) })

  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => { output = (output + chunk).slice(-65_536) })
  while (!output.includes('ready: ')) await once(child.stdout, 'data')
  const url = /ready: (?:open )?(http:\/\/[^/"\s]+)/.exec(output)?.[1] ?? ''
  await (await fetch(url + readyPath)).arrayBuffer()

  const stat = () => readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ').map(Number) ?? []
  return {
    url,
    startMilliseconds: performance.now() - startedAt,
    /** Resident memory in MiB. */
    memory: () => (stat()[21] ?? NaN) / PAGES_A_MIB,
    /** Processor time used so far, in seconds. */
    cpu: () => ((stat()[11] ?? NaN) + (stat()[12] ?? NaN)) / CLOCK_TICKS_A_SECOND,
    async stop () {
      child.kill()
      await once(child, 'exit')
    }
  }
}

/** Starts the service as `npm start` does, in a process and a folder of its own. */
export function startService ({ folder = newFolder(), env = {} }: { folder?: string, env?: Record<string, string> } = {}) {
  return startProcess(START_ARGUMENTS, { ...environment(folder), ...env }, '/health/live')
}

/** Starts a rival to compare with the service. */
export function startRival (name: string, env: Record<string, string> = {}) {
  return startProcess([`bench/rivals/${name}.ts`], env)
}

/** Runs a function with the service's own plugins on a folder's database. */
export async function onDatabase<T> (folder: string, run: (core: FastifyInstance) => Promise<T>): Promise<T> {
  const config = readConfig({ ...environment(folder), LOG_LEVEL: 'silent' })
  const instance = Fastify(options())
  await instance.register(plugins, { config })
  await instance.ready()
  try {
    return await run(instance)
  } finally {
    await instance.close()
  }
}

export function median (values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? NaN
}

/** The value that is greater than `share` of the values. They must be in ascending order. */
export function percentile (ascending: number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? NaN
}

export function shuffled<Item> (items: Item[]): Item[] {
  return items.map((item) => ({ item, at: Math.random() })).sort((a, b) => a.at - b.at).map(({ item }) => item)
}

type Rounds<Variants> = { [Name in keyof Variants]: Array<Variants[Name] extends () => infer Value ? Awaited<Value> : never> }

/**
 * Runs every variant once per round, so that a slow moment of the machine affects all of them. The order is random, so
 * that a periodic one affects none in particular. The first rounds warm up and are not counted.
 */
export async function interleaved<Variants extends Record<string, () => unknown>> (variants: Variants, rounds = ROUNDS, warmUps = Math.ceil(rounds * WARM_UP)): Promise<Rounds<Variants>> {
  const names = Object.keys(variants) as Array<keyof Variants> // the keys of what was passed in
  const results = Object.fromEntries(names.map((name) => [name, [] as unknown[]])) as Rounds<Variants>
  for (let round = -warmUps; round < rounds; round++) {
    for (const name of shuffled(names)) {
      const value = await variants[name]!() as Rounds<Variants>[typeof name][number] // names are keys
      if (round >= 0) results[name].push(value)
    }
  }
  return results
}

/**
 * The same, but starts new processes every few rounds. Use it to compare processes: two of the same code differ by a tenth
 * to a quarter for as long as they run. A second warms them up.
 */
export async function inSittings<Variants extends Record<string, () => unknown>> (start: () => Promise<{ variants: Variants, stop: () => Promise<unknown> }>, { sittings = ROUNDS, rounds = 5, warmUps = 5 } = {}): Promise<Rounds<Variants>> {
  const results: Array<Rounds<Variants>> = []
  for (let sitting = 0; sitting < sittings; sitting++) {
    const { variants, stop } = await start()
    results.push(await interleaved(variants, rounds, warmUps))
    await stop()
  }
  return results.reduce((all, one) => Object.fromEntries(Object.keys(one).map((name) => [name, [...all[name]!, ...one[name]!]])) as Rounds<Variants>) // they have the same names
}

/** Divides each round of one variant by the same round of another. */
export function ratios<Key extends string> (values: Array<Record<Key, number>>, others: Array<Record<Key, number>>, key: Key): number[] {
  return values.map((value, round) => value[key] / others[round]![key]) // as many as there were rounds
}

export function rates (results: Array<{ rate: number }>): number[] {
  return results.map(({ rate }) => rate)
}

/** The place of a figure in a chart: a bar of that name, or a point of a line. */
export interface Place {
  chart: string
  /** The bar, or the line. */
  name: string
  x?: number
  /** A bound that nothing on this machine can exceed. It has a colour of its own. */
  isLimit?: boolean
}

/** A row of the table: the median and the spread of the values, and the target. */
export interface Figure {
  figure: string
  /** The number of values. */
  rounds: number
  median: number
  min: number
  max: number
  /** The target, such as "≥ 0.85"; empty for a figure without one. */
  reach: string
  isReached?: boolean
  place?: Place
}

export function figureOf (figure: string, values: number[], reach = '', place?: Place): Figure {
  const round = (value: number) => Number(value.toPrecision(3))
  const [, sign, bound] = /^([≥≤]) ([\d.]+)$/.exec(reach) ?? []
  const middle = median(values)
  return {
    figure,
    rounds: values.length,
    median: round(middle),
    min: round(Math.min(...values)),
    max: round(Math.max(...values)),
    reach,
    ...sign && { isReached: sign === '≥' ? middle >= Number(bound) : middle <= Number(bound) },
    ...place && { place }
  }
}
