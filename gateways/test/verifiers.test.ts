import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { PASSWORD } from '../../test/helper.ts'
import { start, startServer } from '../../test/processes.ts'
import { createVerifier } from '../../verifiers/typescript/postern.ts'
import { createWorld, freePort, run } from './world.ts'
import { gateways } from './gateways.ts'

const PYTHON = '/usr/bin/python3' // Debian's, which finds Debian's packages
const SERVICE = fileURLToPath(new URL('../../verifiers/test/service.py', import.meta.url))
const CONFIGURATIONS = ['nginx/postern.conf', 'caddy/Caddyfile', 'haproxy/forward-auth.cfg', 'apache/jwks.conf']
const PATIENCE_MILLISECONDS = 5000

const hasPython = spawnSync(PYTHON, ['-c', 'import cryptography, flask']).status === 0
const tested = gateways.filter(({ configuration }) => CONFIGURATIONS.includes(configuration))

/** Verifiers that know nothing but the public address of Postern, which is the gateway's. */
for (const gateway of tested) {
  const missing = gateway.needs.find((file) => !existsSync(file))

  t.test(`${gateway.name}, and services that verify tokens themselves`, { skip: missing !== undefined && `install ${gateway.packages}` }, async (t) => {
    const world = await createWorld(t)
    const port = await freePort()
    const issuer = `http://127.0.0.1:${port}`
    const postern = await startServer(t, { env: { ...world.env, ISSUER: issuer, STATUS_LIST_TTL: '1s' } })
    await run(t, gateway, world, port)

    const common = { issuer, audience: 'postern', clientId: 'apache', clientSecret: world.secret }
    const verifiers = (['feed', 'status-list', 'none'] as const).map((follow) => ({ follow, ...createVerifier({ ...common, follow }) }))
    t.teardown(() => { for (const { close } of verifiers) close() })
    const signIn = async () => await (await postern.request('POST', '/auth/login', { body: { username: 'the-admin', password: PASSWORD } })).json() as { access_token: string }

    for (const { follow, verify } of verifiers) {
      t.test(`a verifier in TypeScript: ${follow}`, async (t) => {
        const { access_token: token } = await signIn()
        t.match(await eventually(() => verify(token), (claims) => claims !== 'unavailable'), { iss: issuer, roles: ['admin'] })

        await postern.request('POST', '/auth/logout', { token })
        if (follow !== 'none') t.equal(await eventually(() => verify(token), (claims) => typeof claims === 'string'), 'token_revoked')
      })
    }

    t.test('a verifier in Python', { skip: !hasPython && 'python3-flask and python3-cryptography are not installed' }, async (t) => {
      const service = start(t, { command: [PYTHON, SERVICE], env: { ISSUER: issuer, CLIENT: 'apache', SECRET: world.secret, MAX_SILENCE: '30' } })
      const address = (await service.says('listening on ')).replace('listening on ', '')
      for (const follow of ['feed', 'status-list', 'none']) {
        const { access_token: token } = await signIn()
        const ask = async () => (await fetch(`${address}/${follow}`, { headers: { authorization: `Bearer ${token}` } })).status
        t.equal(await eventually(ask, (status) => status !== 503), 200, follow)

        await postern.request('POST', '/auth/logout', { token })
        if (follow !== 'none') t.equal(await eventually(ask, (status) => status !== 200), 401, follow)
      }
    })
  })
}

/** Repeats `ask` until its outcome is the one that is waited for, and gives the last outcome. A refusal counts as its code. */
async function eventually<T> (ask: () => Promise<T>, isEnough: (outcome: T | string) => boolean) {
  const end = Date.now() + PATIENCE_MILLISECONDS
  for (;;) {
    const outcome = await ask().catch(({ code }: { code: string }) => code)
    if (isEnough(outcome) || Date.now() > end) return outcome
    await sleep(20)
  }
}
