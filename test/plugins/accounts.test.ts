import Client from 'better-sqlite3'
import t from 'tap'
import { PASSWORD, build, databaseUrl, signIn, signUp, stored } from '../helper.ts'

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

  t.test('that there is not costs what one of those costs that there are, for each name always the same', async (t) => {
    const server = await build(t)
    for (const username of ['ada', 'bea', 'cleo']) await server.accounts.create({ username, password: PASSWORD }, [])
    const hashes = (await stored(server)).users.map(({ passwordHash }) => passwordHash)
    const verified = t.capture(server.passwords, 'verify', server.passwords.verify)
    const login = (username: string) => server.inject({ method: 'POST', url: '/auth/login', payload: { username, password: PASSWORD } })
    const names = Array.from({ length: 5 }, (_, i) => `nobody${i}`)

    for (const name of [...names, ...names]) t.equal((await login(name)).statusCode, 401)

    const examples = verified().map(({ args: [, , example] }) => example)
    for (const example of examples) t.ok(hashes.includes(String(example)))
    t.same(examples.slice(0, 5), examples.slice(5))
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
