import t from 'tap'
import { PASSWORD, build, signIn } from '../../helper.ts'

t.test('accounts.create', async (t) => {
  t.test('makes an account with roles, and no session yet', async (t) => {
    const server = await build(t)

    const user = await server.accounts.create({ username: 'ada', password: PASSWORD }, ['admin', 'editor'])

    t.match(user, { username: 'ada', email: null, roles: ['admin', 'editor'], disabled: false })
    t.same(await server.db.sessions.list(user.id, 0), [])
    t.match(await signIn(server, 'ada'), { user: { roles: ['admin', 'editor'] } })
  })

  t.test('demands a password that the policy allows', async (t) => {
    const { accounts } = await build(t)

    await t.rejects(accounts.create({ username: 'ada.lovelace', password: 'Ada.Lovelace' }, []), { code: 'weak_password' })
    await t.rejects(accounts.create({ username: 'ada', password: 'password' }, []), { code: 'weak_password' })
  })
})
