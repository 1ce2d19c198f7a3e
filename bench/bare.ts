import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import Client from 'better-sqlite3'

/** A P-256 key pair, read from PEM as the service reads it: a pair that was just generated signs and verifies more slowly. */
export function readKeyPair () {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256', privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } })
  return { privateKey: createPrivateKey(privateKey), publicKey: createPublicKey(publicKey) }
}

/**
 * A database of sessions that consist of a generation only. `advance` increments each and commits, as durably as the
 * service does. The rows are sorted by id, as seed.ts sorts those of the service, and not in the order of the requests.
 */
export function bareSessions (file: string, ids: string[]) {
  const client = new Client(file)
  client.pragma('journal_mode = WAL')
  client.pragma('synchronous = FULL')
  client.exec('create table sessions (id text primary key, generation integer not null) strict')
  const insert = client.prepare('insert into sessions values (?, 0)')
  client.transaction(() => { for (const id of ids.toSorted()) insert.run(id) })()

  const update = client.prepare('update sessions set generation = generation + 1 where id = ?')
  const all = client.transaction((ids: string[]) => { for (const id of ids) update.run(id) })
  return { advance: (ids: string[]) => { all.immediate(ids) }, close: () => client.close() }
}
