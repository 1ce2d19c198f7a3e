import Client from 'better-sqlite3'
import t from 'tap'
import { build, databaseUrl } from '../../helper.ts'

const MASTER_KEY = Buffer.alloc(32).toString('base64')

t.test('A database that cannot be used stops the start', async (t) => {
  t.test('with one sentence without the password, when its server does not answer', async (t) => {
    const env = { DATABASE_URL: 'postgres://ada:sesame@127.0.0.1:1/postern', MASTER_KEY }
    const error = await build(t, { env }).then(() => { throw new Error('was started') }, (error: Error & { code?: string }) => error)

    t.equal(error.code, 'wrong_setting')
    t.match(error.message, /^The server of DATABASE_URL cannot be used \(.*ECONNREFUSED.*\)\.$/)
    t.notMatch(error.message, /sesame|\n/)
  })

  t.test('on a server, without MASTER_KEY', async (t) => {
    const env = { DATABASE_URL: 'postgres://127.0.0.1:1/postern', MASTER_KEY: '' }

    await t.rejects(build(t, { env }), { code: 'wrong_setting', message: /^MASTER_KEY must be set with a PostgreSQL database/ })
  })

  t.test('while it is a copy that is not complete', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t) }
    const { db, close } = await build(t, { env })
    await close()
    const file = new Client(db.file)
    file.exec("insert into service_state values ('COPYING', '{}', 1)")
    file.close()

    await t.rejects(build(t, { env }), { code: 'wrong_setting', message: /^The database of DATABASE_URL is a copy that is not complete\. Run the command again that makes it\.$/ })
  })
})
