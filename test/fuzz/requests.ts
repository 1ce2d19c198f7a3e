import { METHODS } from 'node:http'
import fc from 'fast-check'
import { anyOf, hostileText, segment } from './values.ts'
import type { Arbitrary } from 'fast-check'
import type { Schema } from './values.ts'

export interface Operation {
  parameters?: Array<{ name: string, in: string, schema: Schema }>
  requestBody?: { content: Record<string, { schema: Schema }> }
  responses: Record<string, { headers?: Record<string, unknown>, content?: Record<string, unknown> }>
}

export interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

/** A request, in which names in braces stand for what is the cast's. */
export interface Generated {
  path: string
  method: string
  url: string
  headers: Record<string, string>
  payload?: string
}

const JSON_TYPE = 'application/json'
const FORM_TYPE = 'application/x-www-form-urlencoded'

const authorization = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('Bearer {access}', 'Bearer {admin}', 'Bearer {admin}', 'Bearer {refresh}', 'Basic {client}', 'Basic {client}', undefined) },
  { weight: 3, arbitrary: fc.constantFrom('Bearer {revoked}', 'Bearer {expired}', 'Bearer {forged}', 'Bearer {tampered}', 'Bearer {stale}', 'Bearer', 'Bearer ', 'Bearer {access} {access}', 'Bearer{access}', 'Basic {access}', 'Basic Og==', 'Digest {access}') },
  { weight: 1, arbitrary: hostileText.map((text) => `Bearer ${text}`) }
)

const contentType = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(JSON_TYPE, FORM_TYPE, `${JSON_TYPE}; charset=utf-8`) },
  { weight: 1, arbitrary: fc.constantFrom('text/plain', 'text/xml', 'multipart/form-data; boundary=x', 'application/json;;', `${JSON_TYPE} x`, '', 'x', 'application/octet-stream', undefined) }
)

const otherHeaders = fc.record({
  accept: fc.constantFrom('*/*', 'text/event-stream', 'text/html', ''),
  'user-agent': fc.constantFrom('curl/8.5.0', 'x'.repeat(2000), '🦉', ''),
  'x-request-id': fc.constantFrom('r1', 'a\nb', '{password}', 'x'.repeat(999)),
  'x-forwarded-for': fc.constantFrom('203.0.113.7', 'x', '::1'),
  'x-forwarded-method': fc.constantFrom('OPTIONS', 'GET'),
  'if-none-match': fc.constantFrom('*', '"x"', 'W/"x"', ''),
  'last-event-id': fc.constantFrom('0', '-1', 'x', '999999999999999'),
  'content-encoding': fc.constantFrom('gzip', 'identity'),
  expect: fc.constantFrom('100-continue', 'x'),
  cookie: fc.constantFrom('access_token={access}', '='),
  origin: fc.constantFrom('https://evil.example.com', 'null')
}, { requiredKeys: [], noNullPrototype: true })

function textOf (value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value) ?? ''
}

/** A form, or a query, has flat fields only. */
function formOf (value: unknown): string {
  const fields = typeof value === 'object' && value !== null ? Object.entries(value).map(([name, value]): [string, string] => [name, textOf(value)]) : textOf(value)
  return new URLSearchParams(fields).toString().replaceAll('%7B', '{').replaceAll('%7D', '}')
}

/** A body as its content type has it, cut short at times. */
function encoded (value: unknown, type: string | undefined, cut: number | undefined): string {
  const text = type === FORM_TYPE ? formOf(value) : JSON.stringify(value) ?? ''
  return cut === undefined ? text : text.slice(0, cut)
}

function requestTo (path: string, method: string, { parameters = [], requestBody }: Operation): Arbitrary<Generated> {
  const queries = parameters.filter((parameter) => parameter.in === 'query').map(({ name, schema }) => [name, schema] as const)
  const segments = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => segment(name))
  const schema = Object.values(requestBody?.content ?? {})[0]?.schema ?? {}

  return fc.record({
    method: fc.oneof({ weight: 12, arbitrary: fc.constant(method.toUpperCase()) }, { weight: 1, arbitrary: fc.constantFrom(...METHODS.filter((name) => name !== 'CONNECT')) }),
    segments: fc.tuple(...segments),
    query: fc.oneof({ weight: 4, arbitrary: anyOf({ properties: Object.fromEntries(queries) }) }, { weight: 1, arbitrary: hostileText }),
    hasQuery: fc.boolean(),
    body: fc.option(anyOf(schema), { freq: requestBody ? 12 : 2, nil: undefined }),
    cut: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat({ max: 30 }) }),
    type: contentType,
    authorization,
    others: otherHeaders
  }, { noNullPrototype: true }).map(({ authorization, body, cut, hasQuery, method, others, query, segments, type }) => {
    let next = 0
    const address = path.replaceAll(/\{\w+\}/g, () => encodeURIComponent(segments[next++]!.toWellFormed()).replaceAll('%7B', '{').replaceAll('%7D', '}'))
    const hasBody = body !== undefined
    return {
      path,
      method,
      url: hasQuery ? `${address}?${formOf(query)}` : address,
      headers: { ...others, ...authorization !== undefined && { authorization }, ...hasBody && type !== undefined && { 'content-type': type } },
      ...hasBody && { payload: encoded(body, type, cut) }
    }
  })
}

/** The same, with the component itself in place of each reference to it. */
function inlined<T> (value: T, schemas: Record<string, Schema>): T {
  return JSON.parse(JSON.stringify(value), (_, part) => {
    const [, name] = /^#\/components\/schemas\/(\w+)$/.exec(part?.$ref ?? '') ?? []
    return name === undefined ? part : inlined(schemas[name], schemas)
  })
}

/** Any request that the document knows, or nearly, and some that it does not. */
export function anyRequest ({ paths, components: { schemas } }: Document): Arbitrary<Generated> {
  const documented = Object.entries(inlined(paths, schemas)).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => requestTo(path, method, operation)))
  const elsewhere = fc.tuple(fc.constantFrom('/', '/auth/', '/users/x/', '/verify/'), hostileText).map(([start, text]) => ({
    path: start === '/verify/' ? '/verify' : '', // it answers for whatever follows
    method: 'GET',
    url: `${start}x${encodeURIComponent(text.toWellFormed())}`,
    headers: {}
  }))
  return fc.oneof({ weight: 60, arbitrary: fc.oneof(...documented) }, { weight: 1, arbitrary: elsewhere })
}
