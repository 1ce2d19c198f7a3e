// What every refresh must cost, and nothing else: a request to Fastify, a signature, and a share of a commit that serves all who wait.
import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Client from 'better-sqlite3'
import Fastify from 'fastify'

const SESSIONS = 50_000
const SIGNED_BYTES = 600

const folder = mkdtempSync(join(tmpdir(), 'bare-refresh-'))
process.once('exit', () => rmSync(folder, { recursive: true })).once('SIGTERM', () => process.exit())

const client = new Client(join(folder, 'sessions.db'))
client.pragma('journal_mode = WAL')
client.pragma('synchronous = FULL')
client.exec('create table sessions (id text primary key, generation integer not null) strict')
const ids = Array.from({ length: SESSIONS }, () => randomBytes(16).toString('base64url'))
const insert = client.prepare('insert into sessions values (?, 0)')
client.transaction(() => { for (const id of ids) insert.run(id) })()

const advance = client.prepare('update sessions set generation = generation + 1 where id = ?')
const commitAll = client.transaction((deeds: Array<{ id: string }>) => { for (const { id } of deeds) advance.run(id) })
let waiting: Array<{ id: string, resolve: () => void }> = []

function commit () {
  const deeds = waiting
  waiting = []
  commitAll.immediate(deeds)
  for (const { resolve } of deeds) resolve()
}

function advanced (id: string): Promise<void> {
  return new Promise((resolve) => {
    waiting.push({ id, resolve })
    if (waiting.length === 1) setImmediate(commit)
  })
}

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256', privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } })
const key = { key: createPrivateKey(privateKey), dsaEncoding: 'ieee-p1363' } as const // read, as a service reads its key: one that was just made signs more slowly
const content = randomBytes(SIGNED_BYTES)
let count = 0

const server = Fastify()
const schema = { response: { 200: { type: 'object', properties: { token: { type: 'string' } } } } }
server.post('/auth/refresh', { schema }, async () => {
  await advanced(ids[count++ % SESSIONS]!) // there is one
  return { token: sign('sha256', content, key).toString('base64url') }
})
server.get('/', async () => '')
console.log(`ready: ${await server.listen({ host: '127.0.0.1', port: 0 })}`)
