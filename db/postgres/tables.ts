import { sql } from '../drizzle.ts'
import { tablesOf } from '../schema/index.ts'
import { bigint, check, customType, pgTable } from './pg-core.ts'
import { postgresWords } from './words.ts'

export const tables = tablesOf(postgresWords)

const text = customType<{ data: string }>({ dataType: () => 'text collate "C"' })
const number = () => bigint({ mode: 'number' })

/** The last number of what happens one after the other. Its row is locked from the taking of a number to the commit. */
export const heads = pgTable('heads', {
  name: text().primaryKey(),
  value: number().notNull()
})

/** The processes that check tokens: each says with every beat which revocation it knows last. */
export const instances = pgTable('instances', {
  id: text().primaryKey(),
  beat: number().notNull(),
  known: number().notNull(),
  /** For how many milliseconds it says that tokens are good without asking. */
  lease: number().notNull()
})

/** Events of the audit log, as JSON, that have no place in the chain yet. */
export const auditInbox = pgTable('audit_inbox', {
  id: number().primaryKey().generatedAlwaysAsIdentity(),
  event: text().notNull()
}, (auditInbox) => [
  check('audit_inbox_actor_kind', sql`${auditInbox.event} ~ '"actorKind":"(anonymous|user|client|cli|service)"'`)
])
