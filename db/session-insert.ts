import { execute } from './engine.ts'
import { placeholdersOf } from './placeholders.ts'
import type { Operation } from './engine.ts'
import type { NewSession, Session } from './schema/index.ts'
import type { PlaceFor } from './status-places.ts'
import type { Dialect } from './store.ts'

/** Stores a session inside an operation, with a place in a status list for its first token. */
export function sessionInsert ({ build, compile, tables: { sessions } }: Dialect, placeFor: PlaceFor) {
  const insert = compile(build.insert(sessions).values(placeholdersOf(sessions)))

  return function * (session: NewSession): Operation<Session> {
    const placed = { ...session, statusEntries: [yield * placeFor(session.accessExpiresAt, session.createdAt)] }
    yield * execute(insert, placed)
    return placed
  }
}
