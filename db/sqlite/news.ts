import { REVOCATIONS_SINCE, toRevocation } from '../revocations.ts'
import { signingKeyList } from '../signing-keys.ts'
import { sqliteDialect } from './dialect.ts'
import { toEngineError } from './errors.ts'
import type { News, NewsFollower } from '../news.ts'
import type { RevocationRow } from '../revocations.ts'
import type { Run } from './steps.ts'

/**
 * News of a SQLite file: whoever asks for the revision looks whether anything was written since, by whichever process, and
 * tells the followers before it answers. What was revoked before a request is known to that request.
 */
export function sqliteNews (dataRevision: (asksAgain?: boolean) => number, run: Run): News {
  const { text } = sqliteDialect
  const since = text<[sequence: number], RevocationRow>(REVOCATIONS_SINCE)
  const keys = signingKeyList(sqliteDialect)
  const followers: NewsFollower[] = []
  let lastData = -1
  let last: number | undefined

  function readRevocations (sequence: number): number {
    for (let from = sequence; ;) {
      const page = run({ statement: since, parameters: [from], wants: 'rows' }).map((row) => toRevocation(row as RevocationRow))
      if (page.length === 0) return from
      for (const { revoked } of followers) revoked?.(page)
      from = page.at(-1)!.sequence // a page has one
    }
  }

  function readKeys () {
    const rows = run({ statement: keys, parameters: [], wants: 'rows' }).map(keys.toRow)
    for (const { keysChanged } of followers) keysChanged?.(rows)
  }

  function look (asksAgain?: boolean) {
    try {
      const data = dataRevision(asksAgain)
      if (last === undefined || data === lastData) return
      last = readRevocations(last)
      readKeys()
      lastData = data
    } catch (error) {
      throw toEngineError(error)
    }
  }

  return {
    async begin (after) {
      last = after
      look()
    },
    follow (follower) { followers.push(follower) },
    revision () {
      look()
      return last
    },
    async freshen () { look(true) }
  }
}
