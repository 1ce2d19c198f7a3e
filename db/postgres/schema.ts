import { tables } from './tables.ts'

// For drizzle-kit, which compares exported tables with the migrations.
export { auditInbox, heads, instances } from './tables.ts'
export const {
  auditAnchor, auditEvents, clients, freedNames, guesses, jobs, knownPairs, probe, requestCounts, revocations, revokedStatuses,
  serviceState, sessions, signingKeys, statusLists, users
} = tables
