import { stat } from 'node:fs/promises'
import Client from 'better-sqlite3'
import t from 'tap'
import { assertRefused, build, databaseUrl, signUp } from '../../helper.ts'

t.test('Nobody is let in while the file is damaged, and a refusal says when to come back', async (t) => {
  const server = await build(t, { env: { DATABASE_URL: databaseUrl(t) } })
  const ada = await signUp(server)
  t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)

  const file = new Client(server.db.file)
  file.unsafeMode()
  file.exec("pragma writable_schema = on; update sqlite_schema set rootpage = 1 << 30 where name = 'revocations'; pragma schema_version = 1000000")
  file.close()
  await stat('.') // what another process wrote is seen by what comes from outside afterwards
  const response = await ada.inject({ url: '/secret' })

  assertRefused(t, response, 503, 'database_unavailable')
  t.equal(response.headers['retry-after'], '1')
})
