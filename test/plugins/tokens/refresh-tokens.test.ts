import { readFile } from 'node:fs/promises'
import t from 'tap'
import { build, databaseUrl, signUp } from '../../helper.ts'

const SID = 'wK3l0aTqW4m1xJZr8bYcVg'
const OTHER_SID = 'xK3l0aTqW4m1xJZr8bYcVg'
const KEY = Buffer.alloc(32, 7).toString('base64')

t.test('A refresh token', async (t) => {
  const { refreshTokens } = await build(t, { env: { MASTER_KEY: KEY } })
  const token = refreshTokens.make(SID, 7)
  const bytes = Buffer.from(token.slice(4), 'base64url')

  t.test('says which generation of which session it belongs to', async (t) => {
    t.same(refreshTokens.read(token), { sid: SID, generation: 7 })
    t.same(refreshTokens.read(refreshTokens.make(SID, 0xffff_ffff)), { sid: SID, generation: 0xffff_ffff })
  })

  t.test('begins so that secret scanners know it, and fits into a header', async (t) => {
    t.match(token, /^prt_[\w-]{70}$/)
  })

  t.test('is the same each time it is made', async (t) => {
    t.equal(refreshTokens.make(SID, 7), token)
  })

  t.test('is another one for another generation or session', async (t) => {
    const tails = [token, refreshTokens.make(SID, 8), refreshTokens.make(OTHER_SID, 7)].map((token) => token.slice(-43))

    t.equal(new Set(tails).size, 3)
  })

  t.test('is not authentic with one bit changed', async (t) => {
    for (let i = 0; i < bytes.length * 8; i++) {
      const changed = Buffer.from(bytes)
      changed[i >> 3]! ^= 1 << (i & 7)
      t.equal(refreshTokens.read(`prt_${changed.toString('base64url')}`), undefined, `bit ${i}`)
    }
  })

  t.test('is not authentic with another length', async (t) => {
    for (const other of [bytes.subarray(0, 51), bytes.subarray(1), bytes.subarray(0, 20), Buffer.concat([bytes, bytes.subarray(0, 1)]), Buffer.alloc(0)]) {
      t.equal(refreshTokens.read(`prt_${other.toString('base64url')}`), undefined, `${other.length} bytes`)
    }
  })

  t.test('is not authentic without its prefix', async (t) => {
    for (const other of [token.slice(4), token.toUpperCase(), ` ${token}`, `PRT_${token.slice(4)}`, '', 'prt']) t.equal(refreshTokens.read(other), undefined, other)
  })

  t.test('is not authentic under another master key', async (t) => {
    const other = await build(t)

    t.equal(other.refreshTokens.read(token), undefined)
    t.not(other.refreshTokens.make(SID, 7), token)
  })

  t.test('is authentic in another process with the same master key', async (t) => {
    const same = await build(t, { env: { MASTER_KEY: KEY } })

    t.same(same.refreshTokens.read(token), { sid: SID, generation: 7 })
  })

  t.test('is stored nowhere', async (t) => {
    const url = databaseUrl(t)
    const server = await build(t, { env: { DATABASE_URL: url } })
    const ada = await signUp(server)
    const secret = Buffer.from(ada.refresh_token.slice(4), 'base64url').subarray(20)

    for (const file of [server.db.file!, `${server.db.file}-wal`]) {
      const content = await readFile(file)
      t.notOk(content.includes(ada.refresh_token.slice(-43)), file)
      t.notOk(content.includes(secret), file)
    }
  })
})
