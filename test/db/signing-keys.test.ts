import t from 'tap'
import { openDatabase } from '../../db/index.ts'

const key = (kid: string, algorithm: string, createdAt: number) => ({ kid, algorithm, createdAt, publicKey: 'public', privateKey: Buffer.from('sealed') })

t.test('signingKeys.addFirst', async (t) => {
  t.test('keeps the first of each algorithm, and gives all that hold, the newest first', async (t) => {
    const { signingKeys, close } = await openDatabase('file::memory:')
    t.teardown(close)

    t.same(await signingKeys.addFirst(key('a', 'ES256', 1)), [key('a', 'ES256', 1)])
    t.same(await signingKeys.addFirst(key('b', 'ES256', 2)), [key('a', 'ES256', 1)])
    t.same(await signingKeys.addFirst(key('c', 'EdDSA', 3)), [key('c', 'EdDSA', 3), key('a', 'ES256', 1)])
    t.same(await signingKeys.list(), [key('c', 'EdDSA', 3), key('a', 'ES256', 1)])
  })
})
