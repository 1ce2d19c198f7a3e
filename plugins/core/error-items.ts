import type { FastifyError } from 'fastify'

type ValidationError = NonNullable<FastifyError['validation']>[number]

/** An item of `errors`: a JSON pointer (RFC 6901) to the field, and what is wrong with it. */
export function toErrorItem ({ instancePath, keyword, message = '', params }: ValidationError) {
  const unknown = params.additionalProperty
  const key = unknown ?? params.missingProperty
  const token = String(key).replaceAll('~', '~0').replaceAll('/', '~1').slice(0, 64)
  const pointer = key === undefined ? instancePath : `${instancePath}/${token}`
  if (unknown !== undefined) return { pointer, detail: 'is not a known field' }
  return { pointer, detail: keyword === 'pattern' ? 'has characters that are not allowed here' : message }
}
