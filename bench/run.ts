import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import feed from './feed.ts'
import firstSight from './first-sight.ts'
import growth from './growth.ts'
import login from './login.ts'
import postgres from './postgres.ts'
import refresh from './refresh.ts'
import { report } from './report.ts'
import revocations from './revocations.ts'
import rivals from './rivals.ts'
import secret from './secret.ts'
import start from './start.ts'
import statusList from './status-list.ts'
import storm from './storm.ts'
import workers from './workers.ts'
import type { Results } from './report.ts'

const RESULTS = new URL('results.json', import.meta.url)
const benchmarks = { start, secret, 'first-sight': firstSight, storm, login, refresh, revocations, growth, workers, 'status-list': statusList, feed, postgres, rivals }

// `npm run bench` runs all of them and `npm run bench -- secret` runs one. With `--save` the figures go into results.json,
// docs/performance.md and its plots, beside the last results of those that did not run.
const { positionals, values: { save } } = parseArgs({ allowPositionals: true, options: { save: { type: 'boolean' } } })
const names = positionals.length > 0 ? positionals : Object.keys(benchmarks)
const results: Results = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : {}

const [loadBefore = NaN] = loadavg() // later it includes our own load
for (const name of names) {
  const benchmark = (benchmarks as Record<string, typeof start>)[name]
  if (!benchmark) throw new Error(`There is no benchmark "${name}": choose from ${Object.keys(benchmarks).join(', ')}.`)

  const startedAt = performance.now()
  const figures = await benchmark()
  results[name] = {
    at: new Date().toISOString(),
    seconds: Math.round((performance.now() - startedAt) / 1000),
    machine: { node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model ?? '', loadBefore },
    figures
  }
  console.log(`\n${name}: ${results[name].seconds} s`)
  console.table(Object.fromEntries(figures.map(({ figure, median, min, max, reach, isReached = '' }) => [figure, { median, min, max, reach, reached: isReached }])))
}

if (save) {
  writeFileSync(RESULTS, `${JSON.stringify(results, null, 2)}\n`)
  report(results)
}
process.exit() // stops all processes that still run
