import t from 'tap'
import { build, claimsOf, createClock, signUp } from '../../helper.ts'

t.test('An access token', async (t) => {
  t.test('never outlives its session\'s SESSION_MAX_AGE', async (t) => {
    const clock = createClock()
    const server = await build(t, { env: { ACCESS_TOKEN_TTL: '15m', SESSION_MAX_AGE: '20m' }, now: clock.now })
    const ada = await signUp(server)
    const seconds = clock.now() / 1000

    clock.advance(6 * 60)
    const later = (await ada.refresh()).json()

    t.equal(claimsOf(ada.access_token).exp, seconds + 15 * 60)
    t.equal(claimsOf(later.access_token).exp, seconds + 20 * 60)
    t.equal(later.expires_in, 14 * 60)
    const brief = await build(t, { env: { ACCESS_TOKEN_TTL: '15m', SESSION_MAX_AGE: '5m' }, now: clock.now })
    t.equal((await signUp(brief)).expires_in, 5 * 60)
  })

  t.test('expires on a whole second, whatever moment it is issued at', async (t) => {
    let time = Date.parse('2026-11-21T12:00:00.999Z')
    const server = await build(t, { now: () => time })
    const ada = await signUp(server)

    time += 1503
    const later = (await ada.refresh()).json()

    t.equal(claimsOf(ada.access_token).exp, Date.parse('2026-11-21T12:15:00Z') / 1000)
    t.equal(claimsOf(later.access_token).exp, Date.parse('2026-11-21T12:15:02Z') / 1000)
  })
})
