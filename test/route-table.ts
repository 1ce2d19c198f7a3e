/** The project's routes: the files under routes/, and the operations that each mounts. A fork's files are not in it. */
export const ROUTE_TABLE: Record<string, string[]> = {
  'home.ts': ['GET /'],
  'secret.ts': ['GET /secret'],
  'health.ts': ['GET /health/live', 'GET /health/ready'],
  '.well-known/jwks.ts': ['GET /.well-known/jwks.json'],
  '.well-known/metadata.ts': ['GET /.well-known/oauth-authorization-server', 'GET /.well-known/openid-configuration'],
  'auth/login.ts': ['POST /auth/login'],
  'auth/logout.ts': ['POST /auth/logout', 'POST /auth/logout/all'],
  'auth/me.ts': ['GET /auth/me', 'PATCH /auth/me', 'DELETE /auth/me'],
  'auth/password.ts': ['POST /auth/password'],
  'auth/refresh.ts': ['POST /auth/refresh'],
  'auth/register.ts': ['POST /auth/register'],
  'auth/sessions.ts': ['GET /auth/sessions', 'DELETE /auth/sessions/:id'],
  'users/list.ts': ['GET /users'],
  'users/logout.ts': ['POST /users/:id/logout'],
  'users/user.ts': ['GET /users/:id', 'PATCH /users/:id', 'DELETE /users/:id'],
  'audit/list.ts': ['GET /audit'],
  'oauth/introspect.ts': ['POST /oauth/introspect'],
  'oauth/revoke.ts': ['POST /oauth/revoke'],
  'gateway/verify.ts': ['GET /verify'],
  'explain/explain.ts': ['POST /tokens/explain'],
  'status-lists/status.ts': ['GET /status', 'GET /status/:list'],
  'revocation-feed/revocations.ts': ['GET /revocations']
}

/** Every operation of the project. */
export const OPERATIONS = Object.values(ROUTE_TABLE).flat()
