import { build } from '../helper.ts'
import { OPERATIONS } from '../route-table.ts'
import type { Test } from 'tap'

export interface OpenApiDocument {
  paths: Record<string, Record<string, object>>
  components: { schemas: Record<string, object> }
}

/** Where it stands in the repository. */
export const FILE = 'docs/openapi.json'

/** The document of the service as it is with the default settings, at the address that they give it. */
export async function createDocument (t: Pick<Test, 'teardown'>): Promise<OpenApiDocument> {
  const server = await build(t, { env: { ISSUER: 'http://127.0.0.1:3000', RATE_LIMIT: 'on' } })
  return (await server.inject({ url: '/docs/json' })).json()
}

/** The project's own operations in a document: a fork's file may have more. */
export function operationsOf ({ paths }: OpenApiDocument) {
  return OPERATIONS.map((name) => {
    const [method = '', path = ''] = name.split(' ')
    return { name, operation: paths[path.replaceAll(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()] }
  })
}
