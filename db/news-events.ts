/** What happens between a process and its database, for the log and the metrics. Only PostgreSQL has such events. */
export type NewsEvent =
  | { kind: 'connected', isHeard: boolean }
  | { kind: 'lapsed' | 'blind' | 'history_lost' }
  | { kind: 'failed', error: unknown }
  | { kind: 'clock', offMilliseconds: number }
  | { kind: 'synced', milliseconds: number }
  | { kind: 'settled', milliseconds: number, outcome: 'known' | 'lapsed' | 'waited' }

export interface NewsOptions {
  leaseMilliseconds: number
  /** Goes on with what is known when the database cannot be asked, instead of refusing. */
  isBlindAllowed: boolean
  onEvent: (event: NewsEvent) => void
}
