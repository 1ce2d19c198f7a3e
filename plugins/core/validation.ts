import { AjvCompiler } from '@fastify/ajv-compiler'
import fp from 'fastify-plugin'
import { absentFieldsRemover } from './absent-fields.ts'
import type { BuildCompilerFromPool, RouteDefinition } from '@fastify/ajv-compiler'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** The formats that schemas may name, besides those of ajv-formats. A plugin adds its own. */
    formats: Record<string, (text: string) => boolean>
  }
}

/** Without optimising the generated code, which takes 20 ms of a start. Errors know their schema, for the sentences of error-items.ts. */
const OPTIONS = { allErrors: true, removeAdditional: false, verbose: true, code: { optimize: false } }

/**
 * Nothing in a body is coerced. A query string is all text, so numbers in it are read as numbers. Optional fields that are
 * `null`, and parameters that are empty, count as absent.
 */
const validation: FastifyPluginAsync = async (fastify) => {
  const build = AjvCompiler()
  const formats: Record<string, (text: string) => boolean> = {}

  const buildValidator: BuildCompilerFromPool = (externalSchemas) => {
    const strict = build(externalSchemas, { customOptions: { ...OPTIONS, formats, coerceTypes: false } })
    const lenient = build(externalSchemas, { customOptions: { ...OPTIONS, formats, coerceTypes: true } })

    return (part: unknown) => {
      // The package's types say a schema where Fastify hands over a part of a route.
      const { httpPart, schema } = part as RouteDefinition
      const isQuery = httpPart === 'querystring'
      const validate = (isQuery ? lenient : strict)(part as never)
      const removeAbsentFields = absentFieldsRemover(schema as object, isQuery)

      function validateRest (data: unknown) {
        removeAbsentFields(data)
        const isValid = validate(data)
        validateRest.errors = validate.errors
        return isValid
      }
      validateRest.errors = validate.errors
      return validateRest as typeof validate
    }
  }

  fastify.setSchemaController({ compilersFactory: { buildValidator } })
  fastify.decorate('formats', formats)
}

export default fp(validation, { name: 'validation' })
