import type { RecordedState } from './service-state.ts'

/** The row of `service_state` that a copy has until it is complete. */
export const MARK_NAME = 'COPYING'

/** How far a copy is: the last row that was copied, by its table and key. */
export interface CopyMark {
  /** Tells its source from others. */
  source: string
  table?: string
  after?: Array<string | number>
}

/** @throws Error with `code: 'wrong_version'` and a sentence for a copy that is not complete */
export function assertComplete (state: RecordedState) {
  if (state[MARK_NAME] === undefined) return
  const sentence = 'The database of DATABASE_URL is a copy that is not complete. Run the command again that makes it.'
  throw Object.assign(new Error(sentence), { code: 'wrong_version' })
}

/** Stops a copy with a sentence for the operator. */
export function refuseCopy (sentence: string): never {
  throw Object.assign(new Error(sentence), { code: 'refused' })
}
