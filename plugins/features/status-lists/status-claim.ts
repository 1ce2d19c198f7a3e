import type { StatusEntry } from '../../core/database.ts'

/** The claim `status` of an access token (draft-ietf-oauth-status-list-21, section 6). */
interface Status { status_list: { idx: number, uri: string } }

export function isStatus (value: unknown): value is Status {
  const { status_list: list } = Object(value) as { status_list?: unknown } // what is no object has none
  const { idx, uri } = Object(list) as { idx?: unknown, uri?: unknown }
  return Number.isSafeInteger(idx) && typeof uri === 'string' && uri !== ''
}

export function placeOf (value: unknown, exp: number): StatusEntry {
  const { status_list: { idx, uri } } = value as Status // it was verified
  return { list: uri.slice(uri.lastIndexOf('/') + 1), index: idx, until: exp * 1000 }
}
