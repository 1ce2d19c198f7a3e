/** A schema, or any other object of the document. */
export interface Json { type?: unknown, anyOf?: Json[], properties?: Record<string, Json>, [key: string]: unknown }

interface RequestBody { required: boolean, content: Record<string, { schema: Json }> }

/** The parts of an OpenAPI document that are worked on here. */
export interface OpenApi {
  paths: Record<string, Record<string, { requestBody?: RequestBody }>>
  components: { schemas: Record<string, Json>, securitySchemes: Record<string, object> }
}

/** Keywords whose values are data, and no schemas. */
const DATA = new Set(['const', 'default', 'enum', 'example', 'examples'])

/**
 * A copy of the document in which every schema with a `title` is a component of that name, and everything else refers to
 * it, so that generators make one type of it. What generators stumble over is left out, and checked by the service alone.
 */
export function nameSchemas ({ paths, components, ...document }: OpenApi): OpenApi {
  const named: Record<string, Json> = {}

  function copy<T> (value: T): T {
    if (Array.isArray(value)) return value.map(copy) as T
    return isObject(value) ? name(copyParts(value)) as T : value
  }

  function copyParts (object: Json): Json {
    return Object.fromEntries(Object.entries(readable(object)).map(([key, part]) => [key, DATA.has(key) ? part : copy(part)]))
  }

  /** Leaves a schema where it is when there is another one of its name. */
  function name ({ title, ...schema }: Json): Json {
    if (typeof title !== 'string') return title === undefined ? schema : { ...schema, title } // a property may be called so
    const first = named[title] ??= schema
    return JSON.stringify(first) === JSON.stringify(schema) ? { $ref: `#/components/schemas/${title}` } : schema
  }

  return { ...document, paths: copy(paths), components: { ...components, schemas: { ...copy(components.schemas), ...named } } }
}

/** Without what generators stumble over: patterns that need the flag `u`, and alternatives that only demand properties. */
function readable (schema: Json): Json {
  return Object.fromEntries(Object.entries(schema).filter(([key, value]) => {
    if (key === 'pattern') return !String(value).includes('\\p{')
    return !((key === 'anyOf' || key === 'oneOf') && Array.isArray(value) && value.every(onlyDemands))
  }))
}

function onlyDemands (schema: unknown): boolean {
  return isObject(schema) && Object.keys(schema).every((key) => key === 'required')
}

function isObject (value: unknown): value is Json {
  return typeof value === 'object' && value !== null
}
