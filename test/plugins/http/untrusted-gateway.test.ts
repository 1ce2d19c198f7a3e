import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { build, createLog } from '../../helper.ts'

const FORWARDED = { url: '/health/live', headers: { 'x-forwarded-for': '203.0.113.7' } }

t.test('X-Forwarded-For from an address that TRUST_PROXY does not name', async (t) => {
  t.test('is told once, and recorded for the doctor', async (t) => {
    const { lines, logger } = createLog()
    const server = await build(t, { logger })

    await server.inject({ url: '/health/live' })
    t.notOk('UNTRUSTED_GATEWAY' in await server.db.serviceState.read())
    for (let i = 0; i < 3; i++) await server.inject({ ...FORWARDED, remoteAddress: `10.0.0.${i}` })

    t.match(lines.filter(({ event }) => event === 'untrusted_gateway'), [{ level: 40, ip: '10.0.0.0' }])
    t.equal(lines.filter(({ event }) => event === 'untrusted_gateway').length, 1)
    while (!('UNTRUSTED_GATEWAY' in await server.db.serviceState.read())) await setImmediate() // it is written after the answer
    t.match(await server.db.serviceState.read(), { UNTRUSTED_GATEWAY: '10.0.0.0' })
  })

  t.test('is no matter where TRUST_PROXY names gateways: whoever else sends it is none', async (t) => {
    const { lines, logger } = createLog()
    const server = await build(t, { logger, env: { TRUST_PROXY: '10.0.0.1' } })

    await server.inject({ ...FORWARDED, remoteAddress: '192.0.2.1' })

    t.same(lines.filter(({ event }) => event === 'untrusted_gateway'), [])
  })

  t.test('answers the request also when it cannot be recorded', async (t) => {
    const { lines, logger } = createLog()
    const server = await build(t, { logger })
    await server.db.close()

    t.equal((await server.inject(FORWARDED)).statusCode, 200)

    const failures = () => lines.filter(({ msg }) => msg === 'the address of a gateway was not recorded')
    while (failures().length === 0) await setImmediate() // it is written after the answer
    t.match(failures(), [{ level: 50 }])
  })
})
