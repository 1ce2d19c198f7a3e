import t from 'tap'
import { PASSWORD, build, stored } from '../../helper.ts'

t.test('credentials.verify', async (t) => {
  t.test('verifies an unknown name against the hash of a real account, always the same one for one name', async (t) => {
    const server = await build(t)
    for (const username of ['ada', 'bea', 'cleo']) await server.accounts.create({ username, password: PASSWORD }, [])
    const hashes = (await stored(server)).users.map(({ passwordHash }) => passwordHash)
    const verified = t.capture(server.passwords, 'verify', server.passwords.verify)
    const login = (username: string) => server.inject({ method: 'POST', url: '/auth/login', payload: { username, password: PASSWORD } })
    const names = Array.from({ length: 5 }, (_, i) => `nobody${i}`)

    for (const name of [...names, ...names]) t.equal((await login(name)).statusCode, 401)

    const decoys = verified().map(({ args: [, , options] }) => options?.decoy)
    for (const decoy of decoys) t.ok(hashes.includes(String(decoy)))
    t.same(decoys.slice(0, 5), decoys.slice(5))
  })
})
