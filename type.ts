import type { Type as TypeBox } from 'typebox'

interface Schema { '~optional'?: true }

/**
 * The builders of TypeBox that Postern uses, with TypeBox's types: the package itself, a few hundred ES modules,
 * would take a sixth of a start and of the memory (docs/decisions/0010-typebox-for-its-types.md). What comes out
 * is the same JSON schema, and goes together with what TypeBox makes.
 */
export const Type = {
  Array: (items: Schema, options?: object) => ({ type: 'array', items, ...options }),
  Boolean: (options?: object) => ({ type: 'boolean', ...options }),
  Enum: (values: unknown[], options?: object) => ({ enum: values, ...options }),
  Integer: (options?: object) => ({ type: 'integer', ...options }),
  Literal: (value: unknown, options?: object) => ({ type: typeof value, const: value, ...options }),
  Null: (options?: object) => ({ type: 'null', ...options }),
  Object: (properties: Record<string, Schema>, options?: object) => {
    const required = Object.keys(properties).filter((key) => !properties[key]?.['~optional'])
    return { type: 'object', ...required.length > 0 && { required }, properties, ...options }
  },
  /** Marked out of sight, as TypeBox marks it: nobody who writes a schema out finds the mark. */
  Optional: (schema: Schema) => Object.defineProperty({ ...schema }, '~optional', { value: true }),
  String: (options?: object) => ({ type: 'string', ...options }),
  Union: (anyOf: Schema[], options?: object) => ({ anyOf, ...options }),
  Unsafe: (schema: Schema) => schema
} as unknown as Pick< // TypeBox's types say more than a literal can: what a schema stands for, and what it was made of
  typeof TypeBox,
  'Array' | 'Boolean' | 'Enum' | 'Integer' | 'Literal' | 'Null' | 'Object' | 'Optional' | 'String' | 'Union' | 'Unsafe'
>
