import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startCopy } from './copied-program.ts'
import { FEATURES } from './features.ts'
import { PASSWORD } from './helper.ts'
import { ROOT } from './processes.ts'
import type { Test } from 'tap'

interface Tokens { access_token: string, refresh_token: string }

const STEPS = ['untrusted-gateway', 'cors', 'connections', 'overload', 'closing', 'method-not-allowed', 'content-types', 'conditional-requests']

function removeStep (folder: string, step: string) {
  const list = join(folder, 'plugins/http/index.ts')
  const text = readFileSync(list, 'utf8')
  const [, name = ''] = new RegExp(`^import (\\w+) from './${step}.ts'$`, 'm').exec(text) ?? []
  rmSync(join(folder, 'plugins/http', `${step}.ts`))
  writeFileSync(list, text.replace(`import ${name} from './${step}.ts'\n`, '').replace(new RegExp(`^ {2}${name},?$`, 'm'), ''))
}

async function takeTour (t: Test, { request }: Awaited<ReturnType<typeof startCopy>>) {
  const registered = await request('POST', '/auth/register', { body: { username: 'ada', password: PASSWORD } })
  const { access_token: first, refresh_token: refreshToken } = await registered.json() as Tokens
  t.equal((await request('GET', '/secret', { token: first })).status, 200)
  const { access_token: token } = await (await request('POST', '/auth/refresh', { token: refreshToken })).json() as Tokens
  t.equal((await request('POST', '/auth/logout', { token })).status, 204)
  t.equal((await request('GET', '/secret', { token })).status, 401)
}

/** Asserts that refusals have a request id and the security headers. */
async function checkRefusals (t: Test, { request, address }: Awaited<ReturnType<typeof startCopy>>) {
  const broken = fetch(`${address}/auth/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' })
  for (const response of await Promise.all([request('PUT', '/secret'), request('GET', '/nowhere'), request('GET', '/secret'), broken])) {
    const { status, headers } = response
    t.ok(status >= 400, String(status))
    t.match(headers.get('x-request-id'), /^[\w-]{36}$/, `${status} has a request id`)
    t.equal(headers.get('x-content-type-options'), 'nosniff', `${status} has security headers`)
  }
}

t.test('The service works without', async (t) => {
  t.test('(the list of features names what is there)', async (t) => {
    for (const folder of Object.values(FEATURES).flat()) t.ok(existsSync(join(ROOT, folder)), folder)
  })

  for (const [feature, paths] of Object.entries(FEATURES)) {
    t.test(`the feature ${feature}`, async (t) => {
      const server = await startCopy(t, (folder) => { for (const path of paths) rmSync(join(folder, path), { recursive: true }) })

      await takeTour(t, server)
      await checkRefusals(t, server)
      const metadata = await (await server.request('GET', '/.well-known/oauth-authorization-server')).json() as Record<string, string | string[]>
      for (const [member, uri] of Object.entries(metadata)) {
        if (!member.endsWith('_endpoint') && !member.endsWith('_uri')) continue
        const { pathname } = new URL(String(uri))
        t.not((await fetch(server.address + pathname, { method: 'PUT' })).status, 404, `${member} is mounted`)
      }
    })
  }

  for (const step of STEPS) {
    t.test(`the step ${step}`, async (t) => {
      const server = await startCopy(t, (folder) => removeStep(folder, step))

      await checkRefusals(t, server)
    })
  }
})
