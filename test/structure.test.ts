import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'
import { ROOT } from './processes.ts'

const LONGEST_LINE = 140

const FOLDERS = ['server', 'plugins', 'routes', 'db', 'cli']

const files = ['app.ts', ...FOLDERS.flatMap(sourcesIn)]
const imports = new Map(files.map((file) => [file, importsOf(file)]))

function sourcesIn (folder: string): string[] {
  const files = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
  return files.filter((file) => /\.[jt]s$/.test(file)).map((file) => `${folder}/${file}`)
}

/** The project's files that a file imports, for values or for types. */
function importsOf (file: string): string[] {
  const found = readFileSync(join(ROOT, file), 'utf8').matchAll(/^(?:import|export)\b[^'\n]*(?:\{[^}]*\}[^'\n]*)?'(\.[^']+)'/gm)
  return [...found].map(([, path = '']) => normalize(join(dirname(file), path))).filter((path) => files.includes(path))
}

/** A way from a file back to itself; undefined when there is none. */
function circleFrom (start: string): string[] | undefined {
  const seen = new Set<string>()
  function walk (file: string, way: string[]): string[] | undefined {
    for (const next of imports.get(file) ?? []) {
      if (next === start) return [...way, next]
      if (seen.has(next)) continue
      seen.add(next)
      const circle = walk(next, [...way, next])
      if (circle) return circle
    }
  }
  return walk(start, [start])
}

t.test('The source', async (t) => {
  t.test('has no circle of imports, types included', async (t) => {
    t.ok([...imports.values()].flat().length > 300, 'imports are found')
    for (const file of files) t.equal(circleFrom(file)?.join(' → '), undefined, file)
  })

  t.test(`has no line over ${LONGEST_LINE} characters`, async (t) => {
    for (const file of files) {
      const long = readFileSync(join(ROOT, file), 'utf8').split('\n').flatMap((line, i) => line.length > LONGEST_LINE ? [i + 1] : [])
      t.same(long, [], file)
    }
  })
})
