const MOST_SHOWN = 10

export type Tally = ReturnType<typeof createTally>

/** Counts of a run, and what went against the promises. */
export function createTally () {
  const counts = new Map<string, number>()
  const times = new Map<string, number[]>()
  const violations: string[] = []
  const startedAt = performance.now()

  return {
    violations,

    add (name: string, amount = 1) {
      counts.set(name, (counts.get(name) ?? 0) + amount)
    },

    time (name: string, milliseconds: number) {
      const list = times.get(name)
      if (list) list.push(milliseconds)
      else times.set(name, [milliseconds])
    },

    violate (sentence: string) {
      violations.push(sentence)
      if (violations.length <= MOST_SHOWN) console.error(`VIOLATION after ${seconds(performance.now() - startedAt)}: ${sentence}`)
    },

    of: (name: string) => counts.get(name) ?? 0,

    /** Prints all of it as a table. */
    print () {
      for (const [name, count] of [...counts].sort(([a], [b]) => a < b ? -1 : 1)) row(name, count.toLocaleString('en'))
      for (const [name, list] of times) {
        const sorted = list.toSorted((a, b) => a - b)
        const at = (share: number) => (sorted[Math.floor(sorted.length * share)] ?? NaN).toFixed(1)
        row(name, `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${at(1 - 1 / sorted.length)} ms (of ${sorted.length})`)
      }
      row('violations', String(violations.length))
    }
  }
}

function row (name: string, value: string) {
  console.log(`${name.padEnd(52)} ${value}`)
}

function seconds (milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`
}
