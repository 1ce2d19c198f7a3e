import { chmod, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { openDatabase } from '../../../db/index.ts'
import { build, databaseUrl, signUp } from '../../helper.ts'

const KEY = Buffer.alloc(32, 7).toString('base64')
const OTHER_KEY = Buffer.alloc(32, 8).toString('base64')

t.test('MASTER_KEY', async (t) => {
  const server = await build(t, { env: { MASTER_KEY: KEY } })
  const { masterKey } = server
  const sealed = masterKey.seal('the private part', 'row 1')

  t.test('opens what it sealed', async (t) => {
    t.equal(masterKey.open(sealed, 'row 1'), 'the private part')
  })

  t.test('seals the same text differently every time', async (t) => {
    t.notSame(masterKey.seal('the private part', 'row 1'), sealed)
  })

  t.test('leaves nothing of the text readable', async (t) => {
    t.equal(sealed.includes('private'), false)
  })

  t.test('opens nothing that was sealed for another row', async (t) => {
    t.throws(() => masterKey.open(sealed, 'row 2'))
  })

  t.test('opens nothing of which one bit was changed', async (t) => {
    for (let i = 0; i < sealed.length; i++) {
      const changed = Buffer.from(sealed)
      changed[i]! ^= 1
      t.throws(() => masterKey.open(changed, 'row 1'), `byte ${i}`)
    }
  })

  t.test('opens nothing whose seal was cut short', async (t) => {
    for (const length of [0, 11, 12, 20, 27, 28, sealed.length - 1]) t.throws(() => masterKey.open(sealed.subarray(0, length), 'row 1'), `${length} bytes`)
  })

  t.test('opens nothing that another key sealed', async (t) => {
    const other = await build(t, { env: { MASTER_KEY: OTHER_KEY } })

    t.throws(() => other.masterKey.open(sealed, 'row 1'))
  })

  t.test('derives another key for every purpose, and always the same for one', async (t) => {
    const same = await build(t, { env: { MASTER_KEY: KEY } })

    t.equal(masterKey.derive('bread').symmetricKeySize, 32)
    t.notOk(masterKey.derive('bread').equals(masterKey.derive('butter')))
    t.ok(masterKey.derive('bread').equals(same.masterKey.derive('bread')))
  })

  t.test('is random for a database in memory', async (t) => {
    const one = await build(t)
    const two = await build(t)

    t.notOk(one.masterKey.derive('bread').equals(two.masterKey.derive('bread')))
  })
})

t.test('The file master.key', async (t) => {
  const sentence = /^The file master\.key beside the database should hold 32 bytes in base64\. Restore it\.$/

  t.test('is made on the first start, for its owner alone, and used by the next', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const first = await build(t, { env })
    const { mode } = await stat(keyFile(env))

    const second = await build(t, { env })

    t.equal(mode & 0o777, 0o600)
    t.equal(Buffer.from(await readFile(keyFile(env), 'utf8'), 'base64').length, 32)
    t.ok(second.masterKey.derive('bread').equals(first.masterKey.derive('bread')))
  })

  t.test('may be read-only, and end in a line break', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const first = await build(t, { env })
    await writeFile(keyFile(env), await readFile(keyFile(env), 'utf8') + '\n')
    await chmod(keyFile(env), 0o400)

    const second = await build(t, { env })

    t.ok(second.masterKey.derive('bread').equals(first.masterKey.derive('bread')))
  })

  t.test('is not made where MASTER_KEY is set', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t), MASTER_KEY: KEY }
    await build(t, { env })

    await t.rejects(stat(keyFile(env)), { code: 'ENOENT' })
  })

  for (const content of ['', 'c2hvcnQ=', 'not base64 at all!']) {
    t.test(`stops the start when it holds no key: "${content}"`, async (t) => {
      const env = { DATABASE_URL: databaseUrl(t), JWT_ALGORITHM: 'HS256', JWT_SECRET: 'thirty-two bytes, or a few more of them' }
      await (await build(t, { env })).close()
      await writeFile(keyFile(env), content)

      await t.rejects(build(t, { env }), { code: 'wrong_setting', message: sentence })
    })
  }

  t.test('stops the start when it is another than the one that the keys were sealed with', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    await (await build(t, { env })).close()
    await writeFile(keyFile(env), KEY)

    await t.rejects(build(t, { env }), { code: 'wrong_setting', message: /^MASTER_KEY, or the file master\.key beside the database, is not the key of this database\. .+\.$/ })
  })

  for (const [what, secret] of [['keys', {}], ['accounts', { JWT_ALGORITHM: 'HS256', JWT_SECRET: 'thirty-two bytes, or a few more of them' }]] as const) {
    t.test(`stops the start when it is lost, and is not made anew beside ${what}`, async (t) => {
      const env = { DATABASE_URL: databaseUrl(t), ...secret }
      const server = await build(t, { env })
      if (what === 'accounts') await signUp(server)
      await server.close()
      await rm(keyFile(env))

      await t.rejects(build(t, { env }), { code: 'wrong_setting', message: /^The master key of the database, the file \S+, is missing\. Restore it, or / })

      await t.rejects(stat(keyFile(env)), { code: 'ENOENT' })
    })
  }

  t.test('is not made in the place of a link to a file that is not there', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    await mkdir(dirname(keyFile(env)))
    await symlink('/not/mounted/master.key', keyFile(env))

    await t.rejects(build(t, { env }), { code: 'wrong_setting', message: /^The master key of the database, the file \S+, is missing\./ })
  })

  t.test('is made when the first start was interrupted before it', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const { close } = await openDatabase(env.DATABASE_URL)
    await close()

    await build(t, { env })

    t.equal((await stat(keyFile(env))).mode & 0o777, 0o600)
  })

  t.test('stops the start with a sentence when it cannot be read', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    await (await build(t, { env })).close()
    await rm(keyFile(env))
    await mkdir(keyFile(env))

    await t.rejects(build(t, { env }), { code: 'wrong_setting', message: /^The file \S+master\.key cannot be read \(EISDIR.+\)\. Give it back/ })
  })
})

function keyFile ({ DATABASE_URL: url }: { DATABASE_URL: string }): string {
  return join(dirname(url.slice('file:'.length)), 'master.key')
}
