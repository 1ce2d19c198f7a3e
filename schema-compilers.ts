import { AjvCompiler } from '@fastify/ajv-compiler'
import type { BuildCompilerFromPool, RouteDefinition } from '@fastify/ajv-compiler'

const OPTIONS = { allErrors: true, removeAdditional: false }

const build = AjvCompiler()

/** Nothing in a body is coerced. A query string is all text, so numbers in it are read as numbers. */
export const compilersFactory = {
  buildValidator: ((externalSchemas) => {
    const strict = build(externalSchemas, { customOptions: { ...OPTIONS, coerceTypes: false } })
    const lenient = build(externalSchemas, { customOptions: { ...OPTIONS, coerceTypes: true } })
    // The package's types say a schema where Fastify hands over a part of a route.
    return (part: unknown) => ((part as RouteDefinition).httpPart === 'querystring' ? lenient : strict)(part as never)
  }) as BuildCompilerFromPool
}
