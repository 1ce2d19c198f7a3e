import t from 'tap'
import { codeOf } from '../../../plugins/core/problem-codes.ts'
import { coreProblem } from '../../../plugins/core/problem-catalogue.ts'

const CORE = { kindOf: coreProblem }

t.test('codeOf', async (t) => {
  const meanings: Record<string, string[]> = {
    database_unavailable: ['database_unavailable'],
    internal_error: ['SQLITE_ERROR', 'SQLITE_CONSTRAINT_UNIQUE', 'ERR_INVALID_ARG_TYPE', 'toString', '__proto__', ''],
    validation_failed: ['FST_ERR_VALIDATION'],
    invalid_json: ['FST_ERR_CTP_INVALID_JSON_BODY', 'FST_ERR_CTP_EMPTY_JSON_BODY'],
    missing_token: ['FST_JWT_NO_AUTHORIZATION_IN_HEADER'],
    invalid_token: ['FST_JWT_BAD_REQUEST', 'FST_JWT_AUTHORIZATION_TOKEN_INVALID', 'FAST_JWT_INVALID_ALGORITHM'],
    headers_too_large: ['HPE_HEADER_OVERFLOW'],
    request_timeout: ['ERR_HTTP_REQUEST_TIMEOUT'],
    rate_limited: ['rate_limited']
  }
  for (const [meaning, codes] of Object.entries(meanings)) {
    for (const code of codes) {
      t.test(`gives ${meaning} for ${code || 'no code'}`, async (t) => {
        t.equal(codeOf({ code }, CORE), meaning)
      })
    }
  }

  t.test('gives the code of a 4xx status that the catalogue knows, and bad_request for another', async (t) => {
    const statuses = { 400: 'bad_request', 401: 'invalid_token', 403: 'forbidden', 404: 'not_found', 409: 'bad_request', 413: 'body_too_large', 414: 'uri_too_long', 415: 'unsupported_media_type', 429: 'rate_limited', 499: 'bad_request' }

    for (const [status, code] of Object.entries(statuses)) t.equal(codeOf({ statusCode: Number(status) }, CORE), code)
  })

  t.test('gives internal_error for any other status', async (t) => {
    for (const statusCode of [200, 302, 399, 500, 503]) t.equal(codeOf({ statusCode }, CORE), 'internal_error')
  })
})
