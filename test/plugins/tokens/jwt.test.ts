import t from 'tap'
import { build, signUp, stockRoute } from '../../helper.ts'

const SECRET = 'thirty-two bytes, or a few more of them'

t.test('The stock `jwtVerify`', async (t) => {
  t.test('opens with a token under a shared secret', async (t) => {
    const server = await build(t, { env: { JWT_ALGORITHM: 'HS256', JWT_SECRET: SECRET }, routes: stockRoute })
    const ada = await signUp(server)

    const response = await ada.inject({ url: '/stock' })

    t.equal(response.statusCode, 200)
    t.match(response.json(), { sub: ada.user.id, roles: [] })
  })
})
