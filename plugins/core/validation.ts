import { AjvCompiler } from '@fastify/ajv-compiler'
import fp from 'fastify-plugin'
import type { BuildCompilerFromPool, RouteDefinition } from '@fastify/ajv-compiler'
import type { FastifyPluginAsync } from 'fastify'

/** Without optimising the generated code, which takes 20 ms of a start. */
const OPTIONS = { allErrors: true, removeAdditional: false, code: { optimize: false } }

/** Nothing in a body is coerced. A query string is all text, so numbers in it are read as numbers. */
const validation: FastifyPluginAsync = async (fastify) => {
  const build = AjvCompiler()

  const buildValidator: BuildCompilerFromPool = (externalSchemas) => {
    const strict = build(externalSchemas, { customOptions: { ...OPTIONS, coerceTypes: false } })
    const lenient = build(externalSchemas, { customOptions: { ...OPTIONS, coerceTypes: true } })
    // The package's types say a schema where Fastify hands over a part of a route.
    return (part: unknown) => ((part as RouteDefinition).httpPart === 'querystring' ? lenient : strict)(part as never)
  }

  fastify.setSchemaController({ compilersFactory: { buildValidator } })
}

export default fp(validation, { name: 'validation' })
