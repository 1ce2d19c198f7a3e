import { parse as parseForm } from 'node:querystring'
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'

const FORM = 'application/x-www-form-urlencoded'

const JSON_IN_ANOTHER_TYPE = 'The body looks like JSON. Send it with `content-type: application/json`.'
const MULTIPART = 'Send `application/json` or `application/x-www-form-urlencoded`, not a form in several parts (curl -d, not -F).'
const COMPRESSED = 'Send the body without Content-Encoding.'
const NOT_UTF8 = 'The body is not UTF-8. Send it in UTF-8.'
const BROKEN_ESCAPE = 'The form has a `%` that does not begin a character of UTF-8. Send a percent sign as `%25`.'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Accepts JSON and `application/x-www-form-urlencoded` in UTF-8, and nothing else. A body of no bytes is no body, whatever
 * its type. Empty fields of a form are left out.
 */
const contentTypes: FastifyPluginAsync = async (fastify) => {
  const { problem } = fastify
  const parseJson = fastify.getDefaultJsonParser('error', 'error')

  /** The text of a body. @throws `unsupported_media_type` or `invalid_json` */
  function decode ({ headers }: FastifyRequest, body: Buffer): string {
    const { 'content-encoding': coding = 'identity', 'content-type': type = '' } = headers
    const charset = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(type)?.[1] ?? 'utf-8'
    if (coding.toLowerCase() !== 'identity') {
      throw problem('unsupported_media_type', { detail: COMPRESSED, headers: { 'accept-encoding': 'identity' } })
    }
    if (!/^utf-?8$/i.test(charset)) throw problem('unsupported_media_type', { detail: 'Send the body in UTF-8.' })
    try {
      return utf8.decode(body)
    } catch {
      throw problem('invalid_json', { detail: NOT_UTF8 })
    }
  }

  /** The fields of a form that are not empty. @throws `unsupported_media_type` or `invalid_json` */
  function readForm (text: string) {
    if (looksLikeJson(text)) throw problem('unsupported_media_type', { detail: JSON_IN_ANOTHER_TYPE })
    try {
      decodeURIComponent(text) // `parse` forgives what this does not
    } catch {
      throw problem('invalid_json', { detail: BROKEN_ESCAPE })
    }
    const fields = parseForm(text, '&', '=', { maxKeys: 0 })
    for (const [name, value] of Object.entries(fields)) if (value === '') delete fields[name]
    return fields
  }

  async function refuseType ({ headers: { 'content-type': type = '' }, is404 }: FastifyRequest, body: Buffer): Promise<undefined> {
    if (is404 || body.length === 0) return
    const detail = looksLikeJson(body.toString()) ? JSON_IN_ANOTHER_TYPE : /^multipart\//i.test(type) ? MULTIPART : undefined
    throw problem('unsupported_media_type', { detail })
  }

  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined)
    else parseJson(request, decode(request, body), done)
  })
  fastify.addContentTypeParser(FORM, { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    return body.length === 0 ? undefined : readForm(decode(request, body))
  })
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, refuseType)
  fastify.addHook('onRequest', ({ headers, mediaType }, _reply, done) => {
    // Fastify refuses a type that it cannot read even where there is no body.
    if (mediaType === undefined) delete headers['content-type']
    done()
  })
}

function looksLikeJson (text: string): boolean {
  return /^\s*[{[]/.test(text)
}

export default fp(contentTypes, { name: 'content-types', dependencies: ['problems'] })
