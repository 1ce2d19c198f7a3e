import Client from 'better-sqlite3'
import t from 'tap'
import { PASSWORD, build, databaseUrl, signIn, signUp } from '../helper.ts'

t.test('An account', async (t) => {
  t.test('that the operator makes has roles, and no session yet', async (t) => {
    const server = await build(t)

    const user = await server.accounts.create({ username: 'ada', password: PASSWORD }, ['admin', 'editor'])

    t.match(user, { username: 'ada', email: null, roles: ['admin', 'editor'], disabled: false })
    t.same(await server.db.sessions.list(user.id, 0), [])
    t.match(await signIn(server, 'ada'), { user: { roles: ['admin', 'editor'] } })
  })

  t.test('that the operator makes is under the same policy', async (t) => {
    const { accounts } = await build(t)

    await t.rejects(accounts.create({ username: 'ada.lovelace', password: 'Ada.Lovelace' }, []), { code: 'weak_password' })
    await t.rejects(accounts.create({ username: 'ada', password: 'password' }, []), { code: 'weak_password' })
  })

  t.test('that was deleted a moment ago is not asked for its password', async (t) => {
    const server = await build(t, { env: { DATABASE_URL: databaseUrl(t) } })
    const ada = await signUp(server)
    const client = new Client(server.db.file!)
    client.exec('delete from users')
    client.close()

    const response = await ada.inject({ method: 'DELETE', url: '/auth/me', payload: { password: PASSWORD } })

    t.equal(response.statusCode, 401)
    t.equal(response.json().code, 'token_revoked')
  })
})
