import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import { allSettings } from '../../plugins/core/config/index.ts'
import { PASSWORD, build, signUp } from '../helper.ts'
import { ROOT } from '../processes.ts'
import { OPERATIONS } from '../route-table.ts'
import { runHttpFile } from './http-file.ts'

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
    const made: Record<string, string> = {
      ARGON2_THREADS: 'one less than there are cores, or 1',
      HSTS: '`max-age=31536000` when `ISSUER` is an https address, otherwise `off`',
      ISSUER: '`http://HOST:PORT`',
      MASTER_KEY: 'a file'
    }

    t.same(rows.sort(), variables.map(([name, { default: standard, description }]) => [name, made[name] ?? (standard === undefined ? 'none' : `\`${standard}\``), description]).sort())
  })
})

t.test('requests.http', async (t) => {
  t.test('runs from top to bottom, and sends every operation of the project', async (t) => {
    const server = await build(t)
    const { user } = await signUp(server, { email: 'admin@example.com' })
    await server.accounts.change(user.id, { roles: ['admin'] }, 'cli')
    const secret = await server.apiClients.create('my-gateway')

    const exchanges = await runHttpFile(server, read('requests.http'), { admin_password: PASSWORD, client_secret: secret! }) // there was none of that id

    for (const { title, status, wanted, answer } of exchanges) t.ok(wanted ? status === wanted : status < 300, `${title}: ${status} ${status > 299 ? answer : ''}`)
    for (const operation of OPERATIONS) t.ok(exchanges.some(({ sent }) => patternOf(operation).test(sent)), operation)
  })
})

t.test('Dockerfile', async (t) => {
  t.test('starts the service as npm start does', async (t) => {
    const [, command = ''] = /^CMD (.*)$/m.exec(read('Dockerfile')) ?? []

    t.equal(JSON.parse(command).join(' '), manifest.scripts.start.replace(/^exec /, ''))
  })
})

/** Finds an operation among those that were sent. */
function patternOf (operation: string): RegExp {
  return new RegExp(`^${operation.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/?]+')}(?:\\?|$)`)
}

function read (file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}
