import t from 'tap'
import { build, createClock, createLog } from '../../helper.ts'

t.test('The log of refusals', async (t) => {
  t.test('takes a hundred lines a second for each code, and then counts', async (t) => {
    const clock = createClock()
    const { lines, logger } = createLog()
    const server = await build(t, { logger, now: clock.now })
    const refused = (code: string) => lines.filter((line) => line.event === 'refused' && line.code === code).length
    const counts = () => lines.filter(({ event }) => event === 'refusals_not_logged')

    for (let i = 0; i < 150; i++) await server.inject({ url: '/secret' })
    await server.inject({ url: '/nowhere' })
    t.same([refused('missing_token'), refused('not_found')], [100, 1])
    t.same(counts(), [])

    clock.advance(1)
    await server.inject({ url: '/secret' })
    t.equal(refused('missing_token'), 101)
    t.match(counts(), [{ level: 40, counts: { missing_token: 50 } }])

    for (let i = 0; i < 120; i++) await server.inject({ url: '/secret' })
    await server.close()
    t.match(counts(), [{}, { counts: { missing_token: 21 } }])
  })
})
