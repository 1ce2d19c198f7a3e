// The least cost of a refresh: a request to Fastify, a signature, and a share of a commit for all waiting requests.
import { randomBytes, sign } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import { bareSessions, readKeyPair } from '../bare.ts'

const SESSIONS = 50_000
const SIGNED_BYTES = 600

const folder = mkdtempSync(join(tmpdir(), 'bare-refresh-'))
process.once('exit', () => rmSync(folder, { recursive: true })).once('SIGTERM', () => process.exit())

const ids = Array.from({ length: SESSIONS }, () => randomBytes(16).toString('base64url'))
const sessions = bareSessions(join(folder, 'sessions.db'), ids)
let waiting: Array<{ id: string, resolve: () => void }> = []

function commit () {
  const batch = waiting
  waiting = []
  sessions.advance(batch.map(({ id }) => id))
  for (const { resolve } of batch) resolve()
}

function advance (id: string): Promise<void> {
  return new Promise((resolve) => {
    waiting.push({ id, resolve })
    if (waiting.length === 1) setImmediate(commit)
  })
}

const key = { key: readKeyPair().privateKey, dsaEncoding: 'ieee-p1363' } as const
const content = randomBytes(SIGNED_BYTES)
let count = 0

const server = Fastify()
const schema = { response: { 200: { type: 'object', properties: { token: { type: 'string' } } } } }
server.post('/auth/refresh', { schema }, async () => {
  await advance(ids[count++ % SESSIONS]!) // there is one
  return { token: sign('sha256', content, key).toString('base64url') }
})
server.get('/', async () => '')
console.log(`ready: ${await server.listen({ host: '127.0.0.1', port: 0 })}`)
