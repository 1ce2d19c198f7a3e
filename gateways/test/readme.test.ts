import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { PASSWORD } from '../../test/helper.ts'
import { startServer } from '../../test/processes.ts'
import { createWorld, run, send } from './world.ts'
import { gateways } from './gateways.ts'

const nginx = gateways.find(({ name }) => name === 'nginx')!
const SPOOFED = { 'X-Auth-Subject': 'admin', 'X-Auth-Session': 'admin', 'X-Auth-Roles': 'admin', 'X-Auth-Token-Id': 'admin' }

t.test('The excerpt for nginx in README.md', { skip: !nginx.needs.every((file) => existsSync(file)) && `install ${nginx.packages}` }, async (t) => {
  const world = await createWorld(t)
  const postern = await startServer(t, { env: world.env })
  const port = await run(t, {
    ...nginx,
    configuration: '../README.md',
    async prepare (folder, readme, ports) {
      const [, excerpt = ''] = /```nginx\n([^]*?)```/.exec(await readFile(readme, 'utf8')) ?? []
      const configuration = join(folder, 'excerpt.conf')
      await writeFile(configuration, `server { listen 127.0.0.1:${ports.gateway}; ${excerpt} }`)
      return nginx.prepare(folder, configuration, ports)
    }
  }, world)
  const registered = await postern.request('POST', '/auth/register', { body: { username: 'ada', password: PASSWORD } })
  const { access_token: token, user } = await registered.json() as { access_token: string, user: { id: string } }

  t.test('lets a good token through, with the identity of its owner and no other', async (t) => {
    const { status, arrived } = await send(world, port, '/orders/1?roles=admin', { token, headers: SPOOFED })
    t.match({ status, arrived }, { status: 200, arrived: { headers: { 'x-auth-subject': user.id, 'x-auth-roles': '-' } } })
    t.notMatch(JSON.stringify(arrived?.headers), 'admin"')
  })

  t.test('refuses a request without a token', async (t) => {
    t.match(await send(world, port, '/orders/1', { headers: SPOOFED }), { status: 401, arrived: undefined })
    t.match(await send(world, port, '/verify', { token }), { status: 404 })
  })

  t.test('tells Postern the address of the client', async (t) => {
    const { text } = await send(world, port, '/auth/sessions', { token, headers: { 'x-forwarded-for': '203.0.113.7' } })
    const body = JSON.stringify({ username: 'ada', password: PASSWORD })
    await send(world, port, '/auth/login', { method: 'POST', headers: { 'content-type': 'application/json', 'x-forwarded-for': '203.0.113.7' }, body: Buffer.from(body) })
    const { sessions } = JSON.parse((await send(world, port, '/auth/sessions', { token })).text) as { sessions: Array<{ ip: string }> }

    t.equal(JSON.parse(text).sessions.length, 1)
    t.same(sessions.map(({ ip }) => ip), ['127.0.0.1', '127.0.0.1'])
  })
})
