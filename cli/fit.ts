import { Ajv } from 'ajv'
import { NAME_FORMATS } from '../plugins/accounts/name-formats.ts'
import { refuse } from './output.ts'
import type { ErrorObject } from 'ajv'
import type { TObject } from 'typebox'

interface Described { description: string }

/** Ends the command with a sentence unless the values are as a request's would have to be. */
export function assertFit (schema: TObject, values: object) {
  const ajv = new Ajv({ verbose: true, formats: { ...NAME_FORMATS, password: true } })
  if (ajv.validate(schema, values)) return
  const [{ instancePath, keyword, message, parentSchema }] = ajv.errors as [ErrorObject] // it stops at the first
  const isOfCharacters = ['pattern', 'format'].includes(keyword)
  const allowed = `has characters that are not allowed in one. Allowed: ${(parentSchema as Described).description}` // each has one
  refuse(`The ${instancePath.split('/')[1]} ${isOfCharacters ? allowed : message!.replace('NOT', 'not')}.`) // Ajv gives one
}
