import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import Client from 'better-sqlite3'

/** A P-256 key pair as a service has it: read. One that was just made signs and checks more slowly. */
export function readKeyPair () {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256', privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } })
  return { privateKey: createPrivateKey(privateKey), publicKey: createPublicKey(publicKey) }
}

/**
 * A database of sessions that are nothing but a generation: `advance` commits one more of each, as durably as the service
 * does. They stand in the order of their ids, as those that seed.ts writes for the service, and not in that in which they are asked for.
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
