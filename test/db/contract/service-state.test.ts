import t from 'tap'
import { openTestDatabase, openTwice } from './database.ts'

t.test('serviceState', async (t) => {
  t.test('keeps what was recorded last, and forgets what is undefined', async (t) => {
    const { serviceState } = await openTestDatabase(t)
    t.same(await serviceState.read(), {})

    await serviceState.record({ issuer: 'https://a', secrets: 'none' }, 1)
    await serviceState.record({ issuer: 'https://b', unknown: undefined }, 2)
    t.same(await serviceState.read(), { issuer: 'https://b', secrets: 'none' })
    await serviceState.record({ issuer: undefined }, 3)

    t.same(await serviceState.read(), { secrets: 'none' })
  })

  t.test('takes what several processes record at once', async (t) => {
    const processes = await openTwice(t)
    const states = [{ a: '1', b: '1', c: '1' }, { c: '2', b: '2', a: '2' }]

    await Promise.all(Array.from({ length: 20 }, (_, i) => processes[i % 2]!.serviceState.record(states[i % 2]!, i)))

    const { a, b, c } = await processes[0].serviceState.read()
    t.same([b, c], [a, a], 'each is written whole')
  })
})
