import { sign } from 'node:crypto'
import t from 'tap'
import { build } from '../helper.ts'

t.test('Signatures', async (t) => {
  const server = await build(t)
  const { privateKey } = server.keys.current()
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

  t.test('are of one type alone', async (t) => {
    t.match(await open(signClaims({ sub: 'ada' })), { claims: { sub: 'ada' }, kid: server.keys.current().kid })
    t.equal(await server.signatures('other+jwt').open(signClaims({ sub: 'ada' })), undefined)
  })

  t.test('are opened in one spelling alone', async (t) => {
    const token = signClaims({ sub: 'ada' })
    const last = token.at(-1)!
    const spellings = [`${token}=`, `${token}!`, `${token}.`, ...['A', 'Q', 'g', 'w', 'B', 'R'].filter((other) => other !== last).map((other) => token.slice(0, -1) + other)]

    for (const spelling of spellings) t.equal(await open(spelling), undefined)
  })

  t.test('say nothing where nothing is said', async (t) => {
    const [header = ''] = signClaims({}).split('.')
    const content = `${header}.${Buffer.from('{').toString('base64url')}`
    const signature = sign('sha256', Buffer.from(content), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')

    t.same(await open(`${content}.${signature}`), { claims: undefined, kid: server.keys.current().kid })
  })
})
