import fp from 'fastify-plugin'
import { fileOf, openDatabase } from '../db/index.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { Database } from '../db/index.ts'

export type { AuditEvent, NewAuditEvent, Note } from '../db/audit-chain.ts'
export type { Bucket } from '../db/guesses.ts'
export type { Revocation } from '../db/revocations.ts'
export type { RotationOutcome } from '../db/rotation.ts'
export type { NewSession, Session } from '../db/sessions.ts'
export type { StoredKey } from '../db/signing-keys.ts'
export type { User, UserChange } from '../db/users.ts'

declare module 'fastify' {
  interface FastifyInstance { db: Database & { file: string | undefined } }
}

/** Opens the database, and closes it with the server. */
const db: FastifyPluginAsync = async (fastify) => {
  const { databaseUrl } = fastify.config
  const database = await openDatabase(databaseUrl).catch((cause: Error) => {
    throw Object.assign(new Error(`DATABASE_URL is "${databaseUrl}" but should be a file that can be opened (${cause.message}).`, { cause }), { code: 'wrong_setting' })
  })
  fastify.decorate('db', { ...database, file: fileOf(databaseUrl) })
  fastify.addHook('onClose', () => database.close())
}

export default fp(db, { name: 'db', dependencies: ['config'] })
