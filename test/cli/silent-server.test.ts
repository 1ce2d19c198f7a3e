import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { build } from '../helper.ts'
import { cli } from '../processes.ts'

const FILE = join(mkdtempSync(join(tmpdir(), 'postern-')), 'data', 'postern.db')
t.teardown(() => rmSync(join(FILE, '../..'), { recursive: true }))
const BACKUP = join(FILE, '..', 'backup.db')

const env = {
  DATABASE_URL: 'postgres://ada:sesame@127.0.0.1:1/postern', // nothing listens there
  MASTER_KEY: Buffer.alloc(32).toString('base64'),
  ISSUER: 'https://id.example.com',
  TRUST_PROXY: '10.0.0.0/8'
}

t.test('A command', async (t) => {
  await (await build(t, { env: { DATABASE_URL: `file:${FILE}` } })).close()

  for (const words of ['users list', 'users create --username ada', 'keys rotate', `backup ${BACKUP}`, `restore ${FILE}`, 'restored', `copy --to file:${BACKUP}`]) {
    t.test(`on a server that does not answer says so without the password: ${words.replace(/ \S*\/.*/, '')}`, async (t) => {
      const { code, stdout, stderr } = await cli({ env, input: 'violet-harbor-93-lantern' }, words)

      t.same({ code, stdout }, { code: 1, stdout: '' })
      t.match(stderr, /^The (server|database) of DATABASE_URL cannot be used \(.*ECONNREFUSED.*\)\.\n$/)
      t.notMatch(stderr, 'sesame')
      t.notOk(existsSync(BACKUP))
    })
  }

  t.test('that examines says the same, and all else that it finds', async (t) => {
    const { code, stdout } = await cli({ env }, 'doctor')

    t.equal(code, 1)
    t.match(stdout, /^ok +master key +is MASTER_KEY/m)
    t.match(stdout, /^fail +server +The server of DATABASE_URL cannot be used \(.*ECONNREFUSED.*\)\./m)
    t.notMatch(stdout, 'sesame')
  })
})
