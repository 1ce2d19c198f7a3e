import { createPublicKey, verify } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { build, createClock, signUp } from '../../helper.ts'
import type { JsonWebKey } from 'node:crypto'

const ROTATION_SECONDS = 600
const PREPUBLISH_SECONDS = 100
const TTL_SECONDS = 250
const RUNS = 60

type Tokens = Awaited<ReturnType<typeof signUp>>

/** A JWK set as it was served, until it was `replacedAt`. */
interface Copy { keys: JsonWebKey[], replacedAt: number }

const clock = createClock()
const server = await build(t, {
  env: { KEY_ROTATION: `${ROTATION_SECONDS}s`, KEY_PREPUBLISH: `${PREPUBLISH_SECONDS}s`, ACCESS_TOKEN_TTL: `${TTL_SECONDS}s`, SESSION_MAX_AGE: '30m', DOCS: 'off' },
  now: clock.now
})
const { accessTokens, signingKeys } = server

/** How long nothing happens: so many seconds, or until a second before, at or after the next key signs or one retires. */
const pause = fc.oneof(
  fc.record({ seconds: fc.integer({ min: 1, max: ROTATION_SECONDS }) }),
  fc.record({ nextTo: fc.constantFrom('signsFrom' as const, 'retiresAt' as const), seconds: fc.constantFrom(-1, 0, 1) })
)
const step = fc.record({ pause: fc.option(pause, { freq: 2 }), what: fc.constantFrom('job', 'rotation', 'prune', 'login', 'login', 'refresh') })

function wait ({ nextTo, seconds }: { nextTo?: 'signsFrom' | 'retiresAt', seconds: number }) {
  const [next = clock.now()] = nextTo ? signingKeys.all().map((key) => Number(key[nextTo])).filter((time) => time > clock.now()).sort((a, b) => a - b) : []
  clock.advance(Math.max(0, (next - clock.now()) / 1000 + seconds))
}

t.test('A token that was signed here and not revoked', async (t) => {
  t.test('is verified by others, at every moment of its life, against a JWK set that is not as old as KEY_PREPUBLISH', async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      await startWithOneKey()
      const verifier = createVerifier()
      let ada = await signUp(server)
      verifier.receives(ada.access_token)

      for (const { pause, what } of steps) {
        if (pause) wait(pause)
        if (what === 'job') await signingKeys.rotateWhenDue()
        else if (what === 'rotation') await signingKeys.rotate()
        else if (what === 'prune') await server.db.signingKeys.prune(clock.now())
        else {
          ada = await (what === 'login' ? signUp(server) : refreshed(ada))
          verifier.receives(ada.access_token)
        }
        await verifier.checks()
      }
    }), { numRuns: RUNS })
  })
})

async function startWithOneKey () {
  await signingKeys.rotate(clock.now())
  clock.advance(TTL_SECONDS)
  await server.db.signingKeys.prune(clock.now())
  if (signingKeys.all().length !== 1) throw new Error(`${signingKeys.all().length} keys`)
}

/** The next tokens, or those of a new session where the old one is too old. */
async function refreshed (tokens: Tokens): Promise<Tokens> {
  const response = await tokens.refresh()
  return response.statusCode === 200 ? { ...await signUp(server), ...response.json(), refresh: (token = response.json().refresh_token) => tokens.refresh(token) } : signUp(server)
}

/** Somebody with every copy of the JWK set that a cache may hold, who knows nothing else. */
function createVerifier () {
  let copies: Copy[] = []
  let tokens: string[] = []
  const checked = new Map<string, string>()

  /** Throws unless a token is good by a copy; its signature is checked once with each key. */
  function assertGood (token: string, copy: Copy) {
    const { kid } = read(token, 0)
    const key = copy.keys.find((key) => key.kid === kid)
    if (!key) throw new Error(`a copy lacks the key ${kid} of a live token`)
    if (checked.get(token) === key.x) return
    const content = token.slice(0, token.lastIndexOf('.'))
    const signature = Buffer.from(token.slice(content.length + 1), 'base64url')
    if (!verify('sha256', Buffer.from(content), { key: createPublicKey({ key, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }, signature)) throw new Error('a token has a wrong signature')
    checked.set(token, key.x!)
  }

  return {
    receives: (token: string) => { tokens.push(token) },

    async checks () {
      const { keys: served } = signingKeys.jwks()
      const latest = copies.at(-1)
      if (latest?.keys !== served) {
        if (latest) latest.replacedAt = clock.now()
        copies.push({ keys: served, replacedAt: Infinity })
      }
      copies = copies.filter(({ replacedAt }) => replacedAt > clock.now() - PREPUBLISH_SECONDS * 1000)
      tokens = tokens.filter((token) => read(token, 1).exp * 1000 > clock.now())
      for (const token of tokens) {
        await accessTokens.verify(token)
        for (const copy of copies) assertGood(token, copy)
      }
    }
  }
}

function read (token: string, part: 0 | 1) {
  return JSON.parse(Buffer.from(token.split('.')[part]!, 'base64url').toString())
}
