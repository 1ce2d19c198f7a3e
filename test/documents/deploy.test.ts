import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import { PROGRAM } from '../copied-program.ts'
import { ROOT } from '../processes.ts'

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0

t.test('deploy/postern.service', async (t) => {
  const unit = read('deploy/postern.service')

  t.test('starts the service as npm start does', async (t) => {
    const [, command = ''] = /^ExecStart=\/usr\/bin\/(.*)$/m.exec(unit) ?? []

    t.equal(command, manifest.scripts.start.replace(/^exec /, ''))
  })

  t.test('is a unit without faults', { skip: !hasSystemd && 'systemd is not installed' }, async (t) => {
    const file = join(t.testdir(), 'postern.service')
    writeFileSync(file, unit.replace('/usr/bin/node', process.execPath).replaceAll('/opt/postern', ROOT.replace(/\/$/, '')))

    const { status, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' })

    t.equal(stderr, '')
    t.equal(status, 0)
  })
})

t.test('deploy/compose.yaml', async (t) => {
  t.test('fills in every address of the configuration for nginx', async (t) => {
    const [, script = ''] = /sed '([^']+)'/.exec(read('deploy/compose.yaml')) ?? []
    const changes = script.split('; ').map((change) => change.split('/').slice(1, 3))
    let configuration = read('gateways/nginx/postern.conf')

    t.equal(changes.length, 3)
    for (const [old = '', replacement = ''] of changes) {
      t.equal(configuration.split(old).length, 2, `${old} is there once`)
      configuration = configuration.replace(old, replacement)
    }
    t.notMatch(configuration, '127.0.0.1')
  })
})

t.test('deploy/compose-postgres.yaml', async (t) => {
  const compose = read('deploy/compose-postgres.yaml')
  const instances = read('deploy/nginx-instances.conf')

  t.test('fills in every address of the configuration for nginx', async (t) => {
    const [, script = ''] = /sed '([^']+)'/.exec(compose) ?? []
    const [removal, ...replacements] = script.split('; ')
    const changes = replacements.map((change) => change.split('/').slice(1, 3))
    let configuration = read('gateways/nginx/postern.conf')

    t.equal(removal, '/^upstream postern {/,/^}/d')
    t.match(configuration, /^upstream postern \{[^}]*127\.0\.0\.1:3000[^}]*^\}/m)
    configuration = configuration.replace(/^upstream postern \{[^]*?^\}\n/m, '')
    t.equal(changes.length, 2)
    for (const [old = '', replacement = ''] of changes) {
      t.equal(configuration.split(old).length, 2, `${old} is there once`)
      configuration = configuration.replace(old, replacement)
    }
    t.notMatch(configuration, '127.0.0.1')
    t.notMatch(configuration, /^upstream postern /m)
  })

  t.test('starts the instances that nginx knows', async (t) => {
    const started = [...compose.matchAll(/^ {2}([\w-]+): \*postern$/gm)].map(([, name]) => `${name}:3000`)
    const known = [...instances.matchAll(/^ *server (\S+)/gm)].map(([, address]) => address)

    t.equal(started.length, 3)
    t.same(known, started)
  })
})

t.test('.dockerignore', async (t) => {
  const patterns = read('.dockerignore').split('\n').filter((line) => line && !line.startsWith('#'))

  t.test('lets only the program into the image', async (t) => {
    const allowed = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1))

    t.equal(patterns[0], '*')
    t.same(allowed.sort(), [...PROGRAM, 'package-lock.json'].sort())
  })

  t.test('keeps out what the service makes, wherever it lies', async (t) => {
    t.ok(['**/*.db', '**/*.db-*', '**/*.db.*', '**/*.key', '**/*.partial', '**/.env*'].every((pattern) => patterns.includes(pattern)))
  })
})

function read (file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}
