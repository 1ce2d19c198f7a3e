import { constants, createPublicKey, randomBytes, sign, verify } from 'node:crypto'
import t from 'tap'
import { assertRefused, bearer, build, createClock, signUp } from '../../helper.ts'

t.test('Signatures', async (t) => {
  const server = await build(t)
  const { privateKey } = server.signingKeys.current()
  const { open, sign: signClaims } = server.signatures('test+jwt')

  t.test('of ES256 are opened however long their numbers are', async (t) => {
    const [header = '', payload = ''] = signClaims({ sub: 'ada' }).split('.')
    const content = `${header}.${payload}`
    const seen = new Set<string>()
    while (seen.size < 6) { // some hundreds of signatures: one number in 256 begins with a zero
      const signature = sign('sha256', Buffer.from(content), { key: privateKey, dsaEncoding: 'ieee-p1363' })
      const kinds = [0, 32].map((at) => `${at} ${signature[at] === 0 ? 'zero' : signature[at]! > 127 ? 'high' : 'low'}`)
      if (kinds.every((kind) => seen.has(kind))) continue
      for (const kind of kinds) seen.add(kind)

      t.match(await open(`${content}.${signature.toString('base64url')}`), { claims: { sub: 'ada' } }, kinds.join(', '))
    }
  })

  t.test('of ES256 have the form of a JWS, however long their numbers are', async (t) => {
    const key = { key: createPublicKey(privateKey), dsaEncoding: 'ieee-p1363' } as const
    const tokens = Array.from({ length: 3000 }, (_, i) => signClaims({ i })) // one number in 512 has a byte less in DER, and some are among 6000

    t.same(tokens.filter((token) => {
      const content = token.slice(0, token.lastIndexOf('.'))
      return !verify('sha256', Buffer.from(content), key, Buffer.from(token.slice(content.length + 1), 'base64url'))
    }), [])
  })

  t.test('are good for one type alone', async (t) => {
    t.match(await open(signClaims({ sub: 'ada' })), { claims: { sub: 'ada' }, kid: server.signingKeys.current().kid })
    t.same(await server.signatures('other+jwt').open(signClaims({ sub: 'ada' })), { fault: 'wrong_type' })
  })

  t.test('are good in one spelling alone', async (t) => {
    const token = signClaims({ sub: 'ada' })
    const content = token.slice(0, token.lastIndexOf('.'))
    const signature = Buffer.from(token.slice(content.length + 1), 'base64url')
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const alike = token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1)!) + 1] // of the last character four bits say nothing
    const widened = Buffer.concat([signature.subarray(0, 32), Buffer.alloc(1), signature.subarray(32)]) // the same number

    t.same(Buffer.from(alike.slice(content.length + 1), 'base64url'), signature)
    for (const spelling of [alike, `${token}=`, `${token}!`, `${token}.`, `${content}.${widened.toString('base64url')}`]) t.match(await open(spelling), { fault: String, claims: undefined })
  })

  t.test('are checked up to 4096 at a time, and more are refused as overloaded', async (t) => {
    const [content] = /^.*\./.exec(signClaims({}))!
    const forged = Array.from({ length: 5000 }, () => open(`${content}${randomBytes(64).toString('base64url')}`))

    const results = await Promise.allSettled(forged)
    const refused = results.filter((result) => result.status === 'rejected')

    t.equal(refused.length, 5000 - 4096)
    t.match(refused[0]!.reason, { code: 'overloaded' })
    t.match(await open(signClaims({ sub: 'ada' })), { claims: { sub: 'ada' } })
  })

  t.test('of PS256 have a salt as long as the hash', async (t) => {
    const { signingKeys, signatures } = await build(t, { env: { JWT_ALGORITHM: 'PS256' } })
    const { open, sign: signClaims } = signatures('test+jwt')
    const token = signClaims({ sub: 'ada' })
    const content = token.slice(0, token.lastIndexOf('.'))
    const signed = (saltLength: number) => sign('sha256', Buffer.from(content), { key: signingKeys.current().privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }).toString('base64url')

    t.match(await open(`${content}.${signed(32)}`), { claims: { sub: 'ada' } })
    t.same(await open(`${content}.${signed(64)}`), { fault: 'bad_signature' })
  })

  t.test('have no claims where the payload is no JSON', async (t) => {
    const [header = ''] = signClaims({}).split('.')
    const content = `${header}.${Buffer.from('{').toString('base64url')}`
    const signature = sign('sha256', Buffer.from(content), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')

    t.same(await open(`${content}.${signature}`), { claims: undefined, kid: server.signingKeys.current().kid })
  })
})

t.test('A token of a key that is not known here makes a shared database be asked for it, once a second', async (t) => {
  const clock = createClock()
  const server = await build(t, clock)
  const stranger = await signUp(await build(t, clock))
  server.db.isShared = true
  const looks = t.capture(server.db.news, 'freshen', server.db.news.freshen)
  const present = () => server.inject({ url: '/secret', headers: bearer(stranger.access_token) })

  for (const count of [1, 0]) {
    assertRefused(t, await present(), 401, 'invalid_token')
    t.equal(looks().length, count)
  }
  clock.advance(1)
  assertRefused(t, await present(), 401, 'invalid_token')
  t.equal(looks().length, 1)
})
