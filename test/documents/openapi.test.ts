import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ROOT } from '../processes.ts'
import { FILE, createDocument, operationsOf } from './openapi.ts'
import type { OpenApiDocument } from './openapi.ts'

t.test(FILE, async (t) => {
  const file = JSON.parse(readFileSync(join(ROOT, FILE), 'utf8')) as OpenApiDocument
  const document = await createDocument(t)

  t.test('says what the service says: `npm run openapi` writes it', async (t) => {
    const [written, served] = [file, document].map(operationsOf) as [ReturnType<typeof operationsOf>, ReturnType<typeof operationsOf>]

    for (const [i, { name, operation }] of served.entries()) t.same(written[i]?.operation, operation, name)
    for (const [name, schema] of Object.entries(file.components.schemas)) {
      if (name !== 'Problem') t.same(schema, document.components.schemas[name], name) // a fork's has more codes
    }
    t.match(document.components.schemas.Problem, { properties: { code: { enum: Array } } })
    t.ok(codesOf(file).every((code) => codesOf(document).includes(code)))
  })
})

function codesOf ({ components: { schemas } }: OpenApiDocument): string[] {
  return (schemas.Problem as { properties: { code: { enum: string[] } } }).properties.code.enum
}
