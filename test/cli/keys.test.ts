import t from 'tap'
import { build, databaseUrl, signIn, signUp } from '../helper.ts'
import { cli } from '../processes.ts'
import type { Test } from 'tap'

/** A running service, and the command line on the same database: `cli('keys list')`. */
async function buildWithCli (t: Test) {
  const env = { DATABASE_URL: databaseUrl(t) }
  const server = await build(t, { env })
  return { server, env, cli: (words: string, more = {}) => cli({ env: { ...env, ...more } }, words) }
}

t.test('keys', async (t) => {
  t.test('are rotated: the running service publishes the next one, which does not sign yet', async (t) => {
    const { server, cli } = await buildWithCli(t)
    const { kid: signing } = server.signingKeys.current()

    const rotated = await cli('keys rotate')
    const listed = await cli('keys list')

    const next = rotated.stdout.trim()
    t.equal(rotated.code, 0)
    t.same((await server.inject({ url: '/.well-known/jwks.json' })).json().keys.map(({ kid }: { kid: string }) => kid), [signing, next])
    t.equal(server.signingKeys.current().kid, signing)
    t.match(listed.stdout, new RegExp(`^${signing}\tES256\tsigns\t\\S+Z\t\\S+Z\n${next}\tES256\tpublished\t\\S+Z\t-\n$`))
  })

  t.test('sign at once with --now', async (t) => {
    const { server, cli } = await buildWithCli(t)

    const { stdout } = await cli('keys rotate --now')

    t.equal(server.signingKeys.current().kid, stdout.trim())
    t.match((await cli('keys list')).stdout, /\tsigned\t.*\n.*\tsigns\t/)
  })

  t.test('are revoked: the running service refuses their tokens from the next request on', async (t) => {
    const { server, cli } = await buildWithCli(t)
    const ada = await signUp(server, { username: 'ada' })
    const { kid } = server.signingKeys.current()

    const [revoked, unknown, none] = [await cli(`keys revoke --kid ${kid}`), await cli('keys revoke nothing'), await cli('keys revoke')]

    t.match(revoked, { code: 0, stdout: 'revoked\n' })
    t.match(unknown, { code: 1, stderr: 'There is no key "nothing".\n' })
    t.match(none, { code: 1, stderr: 'Name the key: "keys list" shows them.\n' })
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 401)
    t.equal((await (await signIn(server, 'ada')).inject({ url: '/secret' })).statusCode, 200)
  })

  t.test('are revoked by the old name of the command, too', async (t) => {
    const { server, cli } = await buildWithCli(t)
    const { kid } = server.signingKeys.current()

    t.same(await cli(`keys burn --kid ${kid}`), { code: 0, stdout: 'revoked\n', stderr: '' })

    t.not(server.signingKeys.current().kid, kid)
  })

  t.test('are exported as a JWK set and as PEM, without their private parts', async (t) => {
    const { server, cli } = await buildWithCli(t)

    const [set, pem] = await Promise.all([cli('keys export'), cli('keys export --pem')])

    t.same(JSON.parse(set.stdout), server.signingKeys.jwks())
    t.equal(pem.stdout, server.signingKeys.current().publicKey)
  })

  t.test('are not rotated with HS256, which has no key pair', async (t) => {
    const env = { DATABASE_URL: databaseUrl(t), JWT_ALGORITHM: 'HS256', JWT_SECRET: 'a secret of more than thirty-two bytes' }
    await build(t, { env })

    t.match(await cli({ env }, 'keys rotate'), { code: 1, stderr: /^HS256 uses one shared secret/ })
  })
})

t.test('clients are made with a secret that authenticates them, listed, and deleted', async (t) => {
  const { server, cli } = await buildWithCli(t)
  const introspect = (secret: string) => server.inject({
    method: 'POST',
    url: '/oauth/introspect',
    headers: { authorization: `Basic ${Buffer.from(`gateway:${secret}`).toString('base64')}` },
    payload: { token: 'x' }
  })

  const made = await cli('clients create gateway')
  const [, secret = ''] = /^client id\tgateway\nsecret\t(\S+)\n$/.exec(made.stdout) ?? []
  t.equal((await introspect(secret)).statusCode, 200)

  const [again, odd, listed] = await Promise.all([cli('clients create gateway'), cli('clients create a:b'), cli('clients list')])
  t.match(again, { code: 1, stderr: 'A client "gateway" exists already.\n' })
  t.match(odd, { code: 1, stderr: /^A client id has 1 to 64 letters/ })
  t.match(listed.stdout, /^gateway\t\S+Z\n$/)

  t.match(await cli('clients delete gateway'), { code: 0, stdout: 'deleted\n' })
  t.match(await cli('clients delete gateway'), { code: 1, stderr: 'There is no client "gateway".\n' })
  t.equal((await introspect(secret)).statusCode, 401)
})
