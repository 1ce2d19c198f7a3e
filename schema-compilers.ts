import { AjvCompiler } from '@fastify/ajv-compiler'
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'
import type { BuildCompilerFromPool, RouteDefinition } from '@fastify/ajv-compiler'
import type { SerializerFactory } from '@fastify/fast-json-stringify-compiler'
import type { FastifySchemaValidationError } from 'fastify'

interface Validate {
  (data: unknown): unknown
  errors?: FastifySchemaValidationError[] | null
}

type Compile = (options: object) => (route: RouteDefinition) => Validate

/** Without the check of schemas against the schema of schemas (TypeBox makes them), and of the code against waste. */
const AJV_OPTIONS = { allErrors: true, coerceTypes: false, removeAdditional: false, meta: false, validateSchema: false, code: { optimize: false } }

const validators = AjvCompiler()
const serializers = SerializerSelector()

/**
 * Validators and serialisers, each made when the first request needs it: making all of them takes a third of a start.
 * Nothing in a body is coerced; a query string is all text, so there numbers are read as numbers.
 */
export const compilersFactory = {
  buildValidator: ((externalSchemas: object) => {
    const compile: Compile = (options) => validators(externalSchemas as never, { customOptions: options }) as never
    return (route: RouteDefinition) => {
      const options = route.httpPart === 'querystring' ? { ...AJV_OPTIONS, coerceTypes: true } : AJV_OPTIONS
      let compiled: Validate | undefined
      const validate: Validate = (data) => {
        compiled ??= compile(options)(route)
        const isValid = compiled(data)
        validate.errors = compiled.errors
        return isValid
      }
      return validate
    }
  }) as BuildCompilerFromPool, // the package's types say a schema where Fastify hands over a part of a route

  buildSerializer: ((externalSchemas, options) => {
    const compile = serializers(externalSchemas, options)
    return (route) => {
      let compiled: ReturnType<typeof compile> | undefined
      return (body) => (compiled ??= compile(route))(body)
    }
  }) as SerializerFactory
}
