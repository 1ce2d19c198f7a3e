import type { preSerializationAsyncHookHandler } from 'fastify'
import type { Static } from 'typebox'
import type { Problem } from '../../core/problems.ts'

const SERVER_ERRORS: Record<number, string> = { 500: 'server_error', 503: 'temporarily_unavailable' }

/** Adds `error` and `error_description` (RFC 6749, section 5.2) to a refusal, for libraries that know these alone. */
export const addOAuthError: preSerializationAsyncHookHandler = async (_request, { statusCode }, payload) => {
  if (statusCode < 400) return payload
  const { detail } = payload as Static<typeof Problem> // every refusal is one
  const fault = statusCode === 401 ? 'invalid_client' : 'invalid_request'
  return { ...payload as object, error: SERVER_ERRORS[statusCode] ?? fault, error_description: detail }
}
