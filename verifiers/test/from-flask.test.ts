import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { PASSWORD, claimsOf } from '../../test/helper.ts'
import { start, startServer } from '../../test/processes.ts'
import { freePort } from './conformance.ts'
import type { Test } from 'tap'

const PYTHON = '/usr/bin/python3' // Debian's, which finds Debian's packages
const SERVE = fileURLToPath(new URL('flask_app.py', import.meta.url))
const DOCUMENT = new URL('../../docs/from-flask.md', import.meta.url)

const hasAll = spawnSync(PYTHON, ['-c', 'import flask_jwt_extended, cryptography']).status === 0

interface SignedIn { access_token: string, refresh_token: string, user: { id: string } }

t.test('The program of docs/from-flask.md', { skip: !hasAll && 'python3-python-flask-jwt-extended is not installed' }, async (t) => {
  const folder = t.testdir()
  const port = await freePort()
  const issuer = `http://127.0.0.1:${port}`
  const postern = await startServer(t, { env: { PORT: String(port), ISSUER: issuer, DATABASE_URL: `file:${join(folder, 'postern.db')}` } })
  const address = await startFlask(t, folder, issuer)

  const ask = (token: string) => fetch(`${address}/protected`, { headers: { authorization: `Bearer ${token}` } })
  const register = async (username: string) =>
    await (await postern.request('POST', '/auth/register', { body: { username, password: PASSWORD } })).json() as SignedIn
  const ada = await register('ada')

  await t.test('accepts a token of Postern, and reads who it is', async (t) => {
    const response = await ask(ada.access_token)

    t.equal(response.status, 200)
    t.same(await response.json(), { logged_in_as: ada.user.id, roles: [] })
  })

  await t.test('refuses every other token', async (t) => {
    const [head, , signature] = ada.access_token.split('.')
    const body = Buffer.from(JSON.stringify({ ...claimsOf(ada.access_token), sub: 'root' })).toString('base64url')
    const { status_lists: [list = ''] } = await (await fetch(`${issuer}/status`)).json() as { status_lists: string[] }
    const statusList = await (await fetch(list)).text()

    for (const token of [`${head}.${body}.${signature}`, ada.refresh_token, statusList]) {
      t.ok([401, 422].includes((await ask(token)).status), token.slice(0, 40))
    }
    t.equal((await fetch(`${address}/protected`)).status, 401)
  })

  await t.test('refuses a token at the next request after its logout', async (t) => {
    const { access_token: token } = await register('grace')
    t.equal((await ask(token)).status, 200)

    await postern.request('POST', '/auth/logout', { token })

    t.equal((await ask(token)).status, 401)
  })

  await t.test('lets nobody in while Postern does not answer', async (t) => {
    await postern.ends('SIGTERM')

    t.equal((await ask(ada.access_token)).status, 500)
  })
})

/** Starts the document's program, as it stands there but for the issuer. */
async function startFlask (t: Test, folder: string, issuer: string): Promise<string> {
  const [, program = ''] = /```python\n([^]*?)```/.exec(readFileSync(DOCUMENT, 'utf8')) ?? []
  const file = join(folder, 'program.py')
  writeFileSync(file, program.replace('https://auth.example.com', issuer))
  const flask = start(t, { command: [PYTHON, SERVE, file] })
  return (await flask.says('listening on ')).replace('listening on ', '')
}
