import { unescape } from 'node:querystring'
import type { FastifyRequest } from 'fastify'

interface Credentials { id: string, secret: string }

/**
 * The credentials of an API client, as RFC 6749, section 2.3.1, has them: HTTP Basic over id and secret in form encoding, or
 * `client_id` and `client_secret` in the body. HTTP Basic decides where it is sent. Empty when there are none.
 */
export function readCredentials ({ headers: { authorization }, body }: Pick<FastifyRequest, 'headers' | 'body'>): Credentials {
  if (authorization !== undefined) return readBasic(authorization)
  const { client_id: id, client_secret: secret } = Object(body) as { client_id?: unknown, client_secret?: unknown } // or neither
  return { id: toText(id), secret: toText(secret) }
}

function readBasic (authorization: string): Credentials {
  const encoded = /^basic +([\w+/=-]+)$/i.exec(authorization)?.[1] ?? ''
  const [, id = '', secret = ''] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? []
  return { id: formDecode(id), secret: formDecode(secret) }
}

/** Ids and secrets of ours hold nothing that this changes, so those who do not encode them are understood as well. */
function formDecode (text: string): string {
  return unescape(text.replaceAll('+', ' '))
}

function toText (value: unknown): string {
  return typeof value === 'string' ? value : ''
}
