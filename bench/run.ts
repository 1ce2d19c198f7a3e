import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import secret from './secret.ts'
import start from './start.ts'

const benchmarks = { start, secret }

// `npm run bench` runs all of them, `npm run bench -- secret` one.
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(benchmarks)

const figures = []
for (const name of names) {
  const benchmark = (benchmarks as Record<string, typeof start>)[name]
  if (!benchmark) throw new Error(`There is no benchmark "${name}": choose from ${Object.keys(benchmarks).join(', ')}.`)
  figures.push(...await benchmark())
}

console.table(Object.fromEntries(figures.map(({ figure, ...row }) => [figure, row])))
const machine = { node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model }
writeFileSync(new URL('results.json', import.meta.url), `${JSON.stringify({ machine, figures }, null, 2)}\n`)
