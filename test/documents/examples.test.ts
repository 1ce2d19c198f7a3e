import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import { allSettings } from '../../plugins/core/config/index.ts'
import { ROOT } from '../processes.ts'
import { OPERATIONS } from '../route-table.ts'

const variables = Object.entries(await allSettings() as Record<string, { default?: unknown, description?: string }>)

t.test('.env.example', async (t) => {
  t.test('shows every variable once, as a comment, with its default', async (t) => {
    const shown = [...read('.env.example').matchAll(/^#([A-Z0-9_]+)=(.*)$/gm)].map(([, name, value]) => [name, value])

    t.same(shown.sort(), variables.map(([name, { default: standard = '' }]) => [name, name === 'ARGON2_THREADS' ? '' : String(standard)]).sort())
  })

  t.test('changes nothing when it is copied', async (t) => {
    t.same(read('.env.example').split('\n').filter((line) => line && !line.startsWith('#')), [])
  })
})

t.test('docs/configuration.md', async (t) => {
  t.test('gives the default and the allowed values of every variable', async (t) => {
    const rows = [...read('docs/configuration.md').matchAll(/^\| `(\w+)` \| (.*?) \| .* \| (.*) \|$/gm)].map(([, name, standard, should]) => [name, standard, should])
    const made: Record<string, string> = { ARGON2_THREADS: 'one less than there are cores, or 1', ISSUER: '`http://HOST:PORT`', MASTER_KEY: 'a file' }

    t.same(rows.sort(), variables.map(([name, { default: standard, description }]) => [name, made[name] ?? (standard === undefined ? 'none' : `\`${standard}\``), description]).sort())
  })
})

t.test('requests.http', async (t) => {
  const requests = read('requests.http').split(/^###.*$/m).slice(1)

  t.test('sends every operation of the project, and no other', async (t) => {
    const operations = OPERATIONS.map((operation) => operation.replaceAll(/:\w+/g, '{id}'))

    const sent = requests.map((request) => /^([A-Z]+) \{\{address\}\}([^?\s]*)/m.exec(request)).map((match) => `${match?.[1]} ${match?.[2]}`.replaceAll(/\{\{\w+\}\}/g, '{id}'))

    t.same([...new Set(sent)].sort(), operations.toSorted())
  })

  t.test('sends JSON that is JSON', async (t) => {
    const bodies = requests.filter((request) => request.includes('application/json')).map((request) => request.split('\n\n')[1] ?? '')

    t.ok(bodies.length > 0)
    for (const body of bodies) t.doesNotThrow(() => JSON.parse(body), body)
  })
})

t.test('Dockerfile', async (t) => {
  t.test('starts the service as npm start does', async (t) => {
    const [, command = ''] = /^CMD (.*)$/m.exec(read('Dockerfile')) ?? []

    t.equal(JSON.parse(command).join(' '), manifest.scripts.start.replace(/^exec /, ''))
  })
})

function read (file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}
