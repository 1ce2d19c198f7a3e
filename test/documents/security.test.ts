import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import lock from '../../package-lock.json' with { type: 'json' }
import { ROOT } from '../processes.ts'

const text = read('docs/security.md')

/** How many requirements of levels 1 and 2 each section of ASVS 5.0.0 has; they are its first ones. */
const SECTIONS = `
  1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 3.4:6 3.5:5 3.7:2 4.1:3 4.2:1 4.3:2 4.4:4
  5.1:1 5.2:3 5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4 7.1:3 7.2:4 7.3:2 7.4:5 7.5:2 7.6:2 8.1:2 8.2:3 8.3:1 8.4:1
  9.1:3 9.2:4 10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2 10.7:3 11.1:2 11.2:3 11.3:3 11.4:4 11.5:1 11.6:1 12.1:3 12.2:2 12.3:4
  13.1:1 13.2:5 13.3:2 13.4:5 14.1:2 14.2:4 14.3:3 15.1:3 15.2:3 15.3:7 16.1:1 16.2:5 16.3:4 16.4:3 16.5:3 17.1:1 17.2:4 17.3:2
`.trim().split(/\s+/).map((entry) => entry.split(':') as [string, string]) // as it is written above

t.test('docs/security.md', async (t) => {
  t.test('names files that exist', async (t) => {
    const files = [...text.matchAll(/`([\w./-]*(?:\/[\w.-]*|\.(?:ts|md)))`/g)].map(([, file = '']) => file).filter((file) => !file.startsWith('/'))

    t.ok(files.length > 100)
    for (const file of new Set(files)) t.ok(existsSync(join(ROOT, file)), file)
  })

  t.test('names tests that exist', async (t) => {
    const named = [...text.matchAll(/`(test\/[\w./-]+\.test\.ts)`((?:,?\s\*[^*]+\*)+)/g)]

    t.ok(named.length > 100)
    for (const [, file = '', titles = ''] of named) {
      for (const [, title = ''] of titles.matchAll(/\*([^*]+)\*/g)) t.ok(titlesOf(file).has(title), `${file}: ${title}`)
    }
  })

  t.test('has every requirement of levels 1 and 2 once', async (t) => {
    const ids = [...text.matchAll(/^\| (\d[\d., –]*) \|/gm)].flatMap(([, cell = '']) => cell.split(', ').flatMap(spread))
    const wanted = SECTIONS.flatMap(([section, count]) => Array.from({ length: Number(count) }, (_, i) => `${section}.${i + 1}`))

    t.equal(wanted.length, 253)
    t.same(ids.sort(), wanted.sort())
  })

  t.test('names no advisory that applies to our versions', async (t) => {
    const packages: Record<string, { version?: string }> = lock.packages
    const rows = [...text.matchAll(/^\| ([@\w/-]+) \| (\d+\.\d+\.\d+) \| (\d+\.\d+\.\d+) \|/gm)]

    t.ok(rows.length > 5)
    for (const [, name = '', fixed = '', ours = ''] of rows) {
      t.equal(packages[`node_modules/${name}`]?.version, ours, name)
      t.ok(ours.localeCompare(fixed, 'en', { numeric: true }) >= 0, name)
    }
  })
})

/** The titles in a test file; of those that are made up, what is fixed in them. */
function titlesOf (file: string): Set<string> {
  const titles = read(file).matchAll(/t\.test\((['`])((?:\\.|(?!\1).)*)/g)
  return new Set([...titles].flatMap(([, , title = '']) => title.split(/\$\{[^}]*\}/)).map((title) => title.replaceAll(/\\(.)/g, '$1').trim().replace(/:$/, '')))
}

/** Each of 1.2.6–1.2.8; anything else is itself. */
function spread (range: string): string[] {
  const [first = '', last = first] = range.split('–')
  const [from, to] = [first, last].map((id) => Number(id.slice(id.lastIndexOf('.') + 1))) as [number, number] // map keeps the length
  return Array.from({ length: to - from + 1 }, (_, i) => first.replace(/\d+$/, String(from + i)))
}

function read (file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}
