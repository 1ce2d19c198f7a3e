// better-auth on better-sqlite3, set up as in its documentation: sign-in, sessions, and its JWT plugin with jose in a service behind it.
import { createServer } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hash, verify } from '@node-rs/argon2'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { toNodeHandler } from 'better-auth/node'
import { jwt } from 'better-auth/plugins'
import Client from 'better-sqlite3'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { AUDIENCE, EMAIL, ISSUER, PASSWORD, listen } from './shared.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'

const SESSIONS = 100 // better-auth caches nothing of them, so more would cost the same
const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } // as the service has it

const folder = mkdtempSync(join(tmpdir(), 'better-auth-'))
process.once('exit', () => rmSync(folder, { recursive: true })).once('SIGTERM', () => process.exit())

const database = new Client(join(folder, 'auth.db'))
database.pragma('journal_mode = WAL')
database.pragma('synchronous = FULL')

const options = {
  database,
  baseURL: ISSUER,
  secret: 'only-for-a-benchmark-7hTq2mXw9LpZ4vRb',
  emailAndPassword: {
    enabled: true,
    password: { hash: (password: string) => hash(password, ARGON2), verify: ({ hash, password }: { hash: string, password: string }) => verify(hash, password) }
  },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  plugins: [jwt({ jwks: { keyPairConfig: { alg: 'ES256' } }, jwt: { issuer: ISSUER, audience: AUDIENCE } })]
}
const { runMigrations } = await getMigrations(options)
await runMigrations()
const auth = betterAuth(options)
await auth.api.signUpEmail({ body: { email: EMAIL, password: PASSWORD, name: 'Ada' } })

async function signIn () {
  const { headers } = await auth.api.signInEmail({ body: { email: EMAIL, password: PASSWORD }, returnHeaders: true })
  const [cookie = ''] = headers.getSetCookie()[0]?.split(';') ?? []
  const { token } = await auth.api.getToken({ headers: new Headers({ cookie }) })
  return { cookie, token }
}

const sessions: Array<Awaited<ReturnType<typeof signIn>>> = []
for (let i = 0; i < SESSIONS; i++) sessions.push(await signIn())
const { keys } = await auth.api.getJwks()
const keySet = createLocalJWKSet({ keys })

async function secret ({ headers: { authorization = '' } }: IncomingMessage, response: ServerResponse) {
  try {
    await jwtVerify(authorization.slice('Bearer '.length), keySet, { issuer: ISSUER, audience: AUDIENCE })
    respond(response, { answer: 42 })
  } catch {
    response.writeHead(401).end()
  }
}

function respond (response: ServerResponse, body: object) {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(body))
}

const itself = toNodeHandler(auth)
listen(createServer((request, response) => {
  if (request.url === '/secret') return secret(request, response)
  if (request.url === '/sessions') return respond(response, sessions)
  return itself(request, response)
}))
