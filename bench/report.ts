import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { bars, lines } from './plots.ts'
import type { Figure } from './harness.ts'

const DOCUMENT = new URL('../docs/performance.md', import.meta.url)
const PLOTS = new URL('../docs/performance/', import.meta.url)

/** A benchmark's table in a document, with the lines around it. */
const SLOT = /<!-- results: ([\w-]+) -->\n(?:[^]*?\n)??<!-- end -->/g

export interface Machine { node: string, cores: number, cpu: string, loadBefore: number }
export interface Result { at: string, seconds: number, machine: Machine, figures: Figure[] }

/** The last results of each benchmark. */
export type Results = Record<string, Result>

/** Fills the tables of docs/performance.md, and draws its plots. */
export function report (results: Results) {
  const document = readFileSync(DOCUMENT, 'utf8')
  const filled = document.replace(SLOT, (slot, name: string) => {
    const content = name === 'machine' ? machine(results) : results[name] && table(results[name])
    return content === undefined ? slot : `<!-- results: ${name} -->\n${content}\n<!-- end -->`
  })
  writeFileSync(DOCUMENT, filled)

  mkdirSync(PLOTS, { recursive: true })
  const figuresOf = (chart: string) => Object.values(results).flatMap(({ figures }) => figures).filter(({ place }) => place?.chart === chart)
  const plots = {
    routes: bars('Answers a second; grey is what bounds them', figuresOf('routes')),
    logins: bars('Logins a second, 64 at once', figuresOf('logins')),
    rivals: bars('Good tokens let through a second', figuresOf('rivals')),
    latency: lines('How long GET /verify takes', figuresOf('latency'), { label: (x) => `p${x}`, ticks: [0.1, 1, 10, 100], unit: ' ms', isLogarithmic: true }),
    growth: lines('Throughput against the same with 100 users, or no revocations', figuresOf('growth'), { label: (x) => x.toLocaleString('en'), ticks: [0, 0.25, 0.5, 0.75, 1, 1.25], unit: '' })
  }
  for (const [name, svg] of Object.entries(plots)) writeFileSync(new URL(`${name}.svg`, PLOTS), svg)
}

function table ({ figures }: Result): string {
  const rows = figures.map(({ figure, rounds, median, min, max, reach, isReached }) => [figure, median, rounds > 1 ? `${min} – ${max}` : '', rounds, reach, isReached === undefined ? '' : isReached ? 'yes' : '**no**'])
  return ['| figure | median | least – most | rounds | to reach | reached |', '| --- | ---: | :---: | ---: | :---: | :---: |', ...rows.map((row) => `| ${row.join(' | ')} |`)].join('\n')
}

function machine (results: Results): string {
  const all = Object.values(results)
  const { node, cores, cpu } = all.at(-1)!.machine // something was measured
  const loads = all.map(({ machine }) => machine.loadBefore)
  const days = [...new Set(all.map(({ at }) => at.slice(0, 10)))].sort()
  return `${cores} cores of an ${cpu}, Node ${node}, ${days.join(' and ')}. The load average before was ${Math.max(...loads).toFixed(1)} at the most${Math.max(...loads) > cores ? ': **other work was going on, so read these as a rehearsal**' : ''}.`
}
