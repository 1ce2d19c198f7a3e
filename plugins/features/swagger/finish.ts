import { nameSchemas } from './components.ts'
import type { Json, OpenApi } from './components.ts'

/** The order in which somebody new needs them. All other operations follow as they were mounted. */
const FIRST = ['/auth/register', '/auth/login', '/secret', '/auth/refresh', '/auth/logout']

/** The document as it is sent: operations in order, schemas named, and the codes of all refusals listed. */
export function finishDocument (document: OpenApi, codes: string[]): OpenApi {
  const named = nameSchemas({ ...document, paths: inOrder(document.paths) })
  for (const operations of Object.values(named.paths)) Object.values(operations).forEach(allowNoBody)
  // Swagger UI puts the cursor into the box of the last: that of the access token, which the plugin of tokens has added first.
  named.components.securitySchemes = Object.fromEntries(Object.entries(named.components.securitySchemes).reverse())
  Object.assign(named.components.schemas.Problem!.properties!.code!, { enum: codes }) // plugins/core/problems.ts has it
  return named
}

function inOrder<T> (paths: Record<string, T>): Record<string, T> {
  const order = [...FIRST.filter((path) => path in paths), ...Object.keys(paths)]
  return Object.fromEntries(order.map((path) => [path, paths[path]!])) // each is one of them
}

/** @fastify/swagger demands a body wherever one has a schema, also where it may be absent. */
function allowNoBody ({ requestBody }: OpenApi['paths'][string][string]) {
  for (const media of Object.values(requestBody?.content ?? {})) {
    const { anyOf = [] } = media.schema
    const [schema, ...others] = anyOf.filter(({ type }: Json) => type !== 'null')
    if (!schema || others.length > 0 || anyOf.length === 1) continue
    media.schema = schema
    requestBody!.required = false // there is one, because it has content
  }
}
