import { Ajv } from 'ajv'
import { NAME_FORMATS } from '../plugins/accounts/name-formats.ts'
import { refuse } from './output.ts'
import type { ErrorObject } from 'ajv'
import type { TObject } from 'typebox'

/** Ends the command with a sentence unless the values are as a request's would have to be. */
export function assertFit (schema: TObject, values: object) {
  const ajv = new Ajv({ formats: { ...NAME_FORMATS, password: true } })
  if (ajv.validate(schema, values)) return
  const [{ instancePath, keyword, message }] = ajv.errors as [ErrorObject] // it stops at the first
  const fault = ['pattern', 'format'].includes(keyword) ? 'has characters that are not allowed in one' : message?.replace('NOT', 'not')
  refuse(`The ${instancePath.split('/')[1]} ${fault}.`)
}
