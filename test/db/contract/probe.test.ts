import t from 'tap'
import { openTwice } from './database.ts'

t.test('probe', async (t) => {
  t.test('resolves while the database takes writes, for several at once', async (t) => {
    const processes = await openTwice(t)
    for (const { news } of processes) await news.begin(0)

    await t.resolves(Promise.all(Array.from({ length: 20 }, (_, i) => processes[i % 2]!.probe(i))))
  })
})
