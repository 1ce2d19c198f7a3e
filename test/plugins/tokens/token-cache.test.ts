import t from 'tap'
import { build, createClock, signIn, signUp } from '../../helper.ts'

const SECRET = 'thirty-two bytes, or a few more of them'

t.test('Claims that are remembered', async (t) => {
  t.test('cannot be changed by the code that gets them', async (t) => {
    const server = await build(t)
    const ada = await signUp(server)
    const { roles } = await server.accessTokens.verify(ada.access_token)

    t.throws(() => roles.push('admin'))
    t.same((await server.accessTokens.verify(ada.access_token)).roles, [])
  })

  t.test('belong to one token, also when there are more tokens than are remembered', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { JWT_ALGORITHM: 'HS256', JWT_SECRET: SECRET }, now: clock.now })
    const ada = await signUp(server, { username: 'ada' })
    const bea = await signUp(server, { username: 'bea' })
    const { accessTokens, db } = server
    const session = (await db.sessions.findById((await accessTokens.verify(bea.access_token)).sid))! // she has just signed up
    const flood = async () => { for (let i = 0; i <= 16_384; i++) await accessTokens.verify(accessTokens.issue({ ...session, generation: i })) }
    const subOf = async (token: string) => (await accessTokens.verify(token)).sub

    await accessTokens.verify(ada.access_token)
    await flood()
    t.equal(await subOf(ada.access_token), ada.user.id)
    await flood()
    t.equal(await subOf(ada.access_token), ada.user.id)
    await ada.inject({ method: 'POST', url: '/auth/logout' })

    await t.rejects(async () => accessTokens.verify(ada.access_token), { code: 'token_revoked' })
    t.equal(await subOf(bea.access_token), bea.user.id)
    clock.advance(900)
    await t.rejects(async () => accessTokens.verify(bea.access_token), { code: 'token_expired' })
  })

  t.test('are those of each of two sessions of one user', async (t) => {
    const server = await build(t)
    const phone = await signUp(server, { username: 'ada' })
    const laptop = await signIn(server, 'ada')
    for (const device of [phone, laptop]) t.equal((await device.inject({ url: '/secret' })).statusCode, 200)

    await phone.inject({ method: 'POST', url: '/auth/logout' })

    t.equal((await phone.inject({ url: '/secret' })).statusCode, 401)
    t.equal((await laptop.inject({ url: '/secret' })).statusCode, 200)
  })
})
