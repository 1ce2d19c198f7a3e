import fp from 'fastify-plugin'
import { isPostgres, openDatabase } from '../../db/index.ts'
import { fileOf } from '../../db/sqlite/index.ts'
import { createDatabaseEvents } from './database-events.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { Database } from '../../db/index.ts'

// For the commands that work on the file itself: backup, restore, doctor.
export { copyAll, copyName, openCopySource, openCopyTarget } from '../../db/copy-open.ts'
export { copyPages, lockDatabase, makeDatabaseFile, removeDatabase, replaceDatabase, settle } from '../../db/sqlite/backup.ts'
export { isPostgres } from '../../db/index.ts'
export { fileOf } from '../../db/sqlite/index.ts'
export { inspectServer } from '../../db/inspect-server.ts'
export { readState } from '../../db/recorded-state.ts'
export { inspect } from '../../db/sqlite/inspect.ts'
export type { AuditEvent, NewAuditEvent } from '../../db/schema/audit.ts'
export type { CopyProgress } from '../../db/copy.ts'
export type { Client } from '../../db/schema/clients.ts'
export type { StoredKey } from '../../db/schema/signing-keys.ts'
export type { NewSession, Session, StatusEntry, User } from '../../db/schema/accounts.ts'
export type { AuditEntry, Permit } from '../../db/audit-entry.ts'
export type { AuditPage, AuditQuery, Verification } from '../../db/audit.ts'
export type { EndedSession } from '../../db/end-sessions.ts'
export type { NameHold } from '../../db/freed-names.ts'
export type { DatabaseContent, ServerInspection } from '../../db/postgres/inspect.ts'
export type { Inspection } from '../../db/sqlite/inspect.ts'
export type { RecordedState } from '../../db/service-state.ts'
export type { KnownPair } from '../../db/schema/limits.ts'
export type { Revocation } from '../../db/schema/revocations.ts'
export type { SessionSummary } from '../../db/sessions.ts'
export type { Place, RotationResult, SessionTimes } from '../../db/rotation.ts'
export type { Attempt, Bucket } from '../../db/sign-in-limits.ts'
export type { UsersPage } from '../../db/user-reads.ts'
export type { UserChange } from '../../db/users.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The repositories; `file` is undefined in memory and on PostgreSQL, which alone `isShared` with other machines. */
    db: Database & { file: string | undefined, isShared: boolean }
  }
}

const NO_MASTER_KEY = 'MASTER_KEY must be set with a PostgreSQL database, for every instance the same. "openssl rand -base64 32" makes one.'

/** Opens the database, and closes it with the server. Nothing else opens it. */
const database: FastifyPluginAsync<{ isMaker?: boolean }> = async (fastify, { isMaker = true }) => {
  const { databaseConnections, databaseUrl, masterKey, isBlindAllowed, revocationLeaseSeconds } = fastify.config
  if (isPostgres(databaseUrl) && masterKey === undefined) throw Object.assign(new Error(NO_MASTER_KEY), { code: 'wrong_setting' })
  const events = createDatabaseEvents(fastify.log)
  const database = await openDatabase(databaseUrl, {
    isMaker,
    isBlindAllowed,
    connections: databaseConnections,
    leaseMilliseconds: revocationLeaseSeconds * 1000,
    onEvent: events.onEvent
  }).catch((cause: Error & { code?: string }) => {
    throw Object.assign(new Error(toSentence(cause, databaseUrl), { cause }), { code: 'wrong_setting' })
  })
  fastify.addHook('onClose', () => database.close())
  fastify.decorate('db', { ...database, isShared: isPostgres(databaseUrl), file: fileOf(databaseUrl) })
  fastify.decorate('databaseEvents', events)
}

/** A URL of PostgreSQL may hold a password: no sentence has it. */
function toSentence ({ code = '', message }: Error & { code?: string }, url: string): string {
  if (code === 'wrong_version' || code === 'wrong_setting') return message
  if (isPostgres(url)) return `The server of DATABASE_URL cannot be used (${[message, code].find(Boolean)}).`
  return `DATABASE_URL is "${url}" but should be a file that can be opened (${message}).`
}

export default fp(database, { name: 'database', dependencies: ['config'] })
