import Client from 'better-sqlite3'
import t from 'tap'
import { PASSWORD, assertRefused, build, databaseUrl, signUp } from '../../helper.ts'

t.test('A request for one\'s own account', async (t) => {
  t.test('is refused as a revoked token when the account was deleted a moment ago', async (t) => {
    const server = await build(t, { env: { DATABASE_URL: databaseUrl(t) } })
    const ada = await signUp(server)
    const client = new Client(server.db.file!)
    client.exec('delete from users')
    client.close()

    const response = await ada.inject({ method: 'DELETE', url: '/auth/me', payload: { password: PASSWORD } })

    assertRefused(t, response, 401, 'token_revoked')
  })
})
