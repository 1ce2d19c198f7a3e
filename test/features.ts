/** The project's features: the folders of each, with those of the features that depend on it (plugins/README.md). */
export const FEATURES = {
  gateway: ['plugins/features/gateway', 'routes/gateway'],
  'api-clients': ['plugins/features/api-clients', 'routes/oauth', 'plugins/features/revocation-feed', 'routes/revocation-feed'],
  'status-lists': ['plugins/features/status-lists', 'routes/status-lists'],
  'revocation-feed': ['plugins/features/revocation-feed', 'routes/revocation-feed'],
  explain: ['plugins/features/explain', 'routes/explain'],
  swagger: ['plugins/features/swagger'],
  metrics: ['plugins/features/metrics'],
  tracing: ['plugins/features/tracing'],
  'request-limits': ['plugins/accounts/request-limits.ts']
}
