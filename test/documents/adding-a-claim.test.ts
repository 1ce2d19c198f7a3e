import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startCopy } from '../copied-program.ts'
import { PASSWORD, claimsOf } from '../helper.ts'
import { ROOT } from '../processes.ts'

t.test('docs/adding-a-claim.md', async (t) => {
  t.test('adds a claim to every access token with one file', async (t) => {
    const [, recipe = ''] = /```ts\n([^]*?)```/.exec(readFileSync(join(ROOT, 'docs/adding-a-claim.md'), 'utf8')) ?? []
    const server = await startCopy(t, (folder) => {
      mkdirSync(join(folder, 'plugins/features/groups'), { recursive: true })
      writeFileSync(join(folder, 'plugins/features/groups/index.ts'), recipe)
    })

    const { access_token: token } = await (await server.request('POST', '/auth/register', { body: { username: 'ada', password: PASSWORD } })).json() as { access_token: string }

    t.same(claimsOf(token).groups, [])
    t.equal((await server.request('GET', '/secret', { token })).status, 200)
  })
})
