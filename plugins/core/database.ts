import fp from 'fastify-plugin'
import { fileOf, openDatabase } from '../../db/index.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { Database } from '../../db/index.ts'

// For the commands that work on the file itself: backup, restore, doctor.
export { copyDatabase, lockDatabase, removeDatabase, replaceDatabase, settle } from '../../db/backup.ts'
export { fileOf } from '../../db/index.ts'
export { inspect, readRecordedState } from '../../db/inspect.ts'
export type { AuditEvent, NewAuditEvent } from '../../db/schema/audit.ts'
export type { Client } from '../../db/schema/clients.ts'
export type { StoredKey } from '../../db/schema/signing-keys.ts'
export type { NewSession, Session, StatusEntry } from '../../db/schema/sessions.ts'
export type { User } from '../../db/schema/users.ts'
export type { AuditEntry, Permit } from '../../db/audit-chain.ts'
export type { AuditPage, AuditQuery, Verification } from '../../db/audit.ts'
export type { EndedSession } from '../../db/end-sessions.ts'
export type { NameHold } from '../../db/freed-names.ts'
export type { Inspection } from '../../db/inspect.ts'
export type { RecordedState } from '../../db/service-state.ts'
export type { KnownPair } from '../../db/schema/limits.ts'
export type { Revocation } from '../../db/schema/revocations.ts'
export type { SessionSummary } from '../../db/sessions.ts'
export type { Place, RotationResult, SessionTimes } from '../../db/rotation.ts'
export type { Attempt, Bucket } from '../../db/sign-in-limits.ts'
export type { UsersPage } from '../../db/user-reads.ts'
export type { UserChange } from '../../db/users.ts'

declare module 'fastify' {
  interface FastifyInstance { db: Database & { file: string | undefined } }
}

/** Opens the database, and closes it with the server. Nothing else opens it. */
const database: FastifyPluginAsync<{ isMaker?: boolean }> = async (fastify, { isMaker }) => {
  const { databaseUrl } = fastify.config
  const database = await openDatabase(databaseUrl, { isMaker }).catch((cause: Error & { code?: string }) => {
    const { code, message } = cause
    const fault = `DATABASE_URL is "${databaseUrl}" but should be a file that can be opened (${message}).`
    const sentence = code === 'wrong_version' ? message : fault
    throw Object.assign(new Error(sentence, { cause }), { code: 'wrong_setting' })
  })
  fastify.addHook('onClose', () => database.close())
  fastify.decorate('db', { ...database, file: fileOf(databaseUrl) })
}

export default fp(database, { name: 'database', dependencies: ['config'] })
