/** As Ajv gives it with `verbose`. */
interface ValidationError {
  instancePath: string
  keyword: string
  schemaPath: string
  message?: string
  params: Record<string, unknown>
  data?: unknown
  parentSchema?: ParentSchema
}

interface ParentSchema {
  description?: string
  properties?: object
  anyOf?: Branch[]
  oneOf?: Branch[]
}

interface Branch { required?: string[] }

/** A body of 16 KiB can have some thousand faults, and the answer to it should not be ten times as long. */
const MOST_ITEMS = 20

/** The name of a field that somebody misspelt. Anything else may be what should have been its value. */
const FIELD_NAME = /^[a-z_]{1,32}$/i

const NO_CHARACTERS = 'has characters that are not allowed here'

/**
 * The items of `errors`: a JSON pointer (RFC 6901) to a field, and what is wrong with it, in words that need no knowledge of
 * JSON Schema. Nothing that was sent is repeated, except for names of fields.
 */
export function toErrorItems (validation: object[]) {
  const errors = validation as ValidationError[] // every validator here is one of Ajv's
  const nobody = errors.find(({ data, instancePath }) => instancePath === '' && data === null)
  if (nobody) return [{ pointer: '', detail: toBodySentence(errors) }]

  const unions = errors.filter(isUnion)
  const said = errors.filter((error) => !isNull(error) && !unions.some(({ schemaPath }) => isChoice(error, schemaPath)))
  const items = said.filter((error) => !isUnion(error) || isChoiceOfFields(error)).map(toErrorItem)
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()].slice(0, MOST_ITEMS)
}

function toErrorItem (error: ValidationError) {
  const { instancePath: path, params: { additionalProperty: unknown, missingProperty: missing } } = error
  if (missing !== undefined) return { pointer: `${path}/${missing}`, detail: 'is missing' }
  if (unknown === undefined) return { pointer: path, detail: toDetail(error) }
  if (FIELD_NAME.test(String(unknown))) return { pointer: `${path}/${unknown}`, detail: 'is not a known field' }
  return { pointer: path, detail: 'has a field that is not known' }
}

function toDetail ({ keyword, message = 'is not as it should be', params: { limit }, parentSchema = {} }: ValidationError): string {
  if (keyword === 'pattern') return NO_CHARACTERS
  if (keyword === 'format' && parentSchema.description) return `is not allowed here. Allowed: ${parentSchema.description}`
  if (keyword === 'format') return NO_CHARACTERS
  if (keyword === 'minLength') return limit === 1 ? 'is empty' : `must have at least ${limit} characters`
  if (keyword === 'maxLength') return `must have at most ${limit} characters`
  if (keyword === 'minProperties') return `must have at least one of ${fieldsOf(parentSchema)}`
  if (keyword === 'anyOf') return `must have ${choiceOf(parentSchema.anyOf)}`
  if (keyword === 'oneOf') return `must have either ${choiceOf(parentSchema.oneOf)}, and not both`
  return message.replace('NOT', 'not')
}

function toBodySentence (errors: ValidationError[]): string {
  const [fields] = errors.map(({ parentSchema = {} }) => fieldsOf(parentSchema)).filter(Boolean)
  return fields ? `Send a body. Its fields: ${fields}` : 'Send a body'
}

function fieldsOf ({ properties = {} }: ParentSchema): string {
  return Object.keys(properties).join(', ')
}

function choiceOf (branches: Branch[] = []): string {
  return branches.flatMap(({ required = [] }) => required).join(' or ')
}

function isUnion ({ keyword }: ValidationError): boolean {
  return keyword === 'anyOf' || keyword === 'oneOf'
}

function isChoiceOfFields ({ parentSchema: { anyOf, oneOf } = {} }: ValidationError): boolean {
  return choiceOf(anyOf ?? oneOf) !== ''
}

/** A field that one branch of a choice of fields wants: the choice itself is said. */
function isChoice ({ keyword, schemaPath }: ValidationError, unionPath: string): boolean {
  return keyword === 'required' && schemaPath.startsWith(`${unionPath}/`)
}

/** Nobody means to send null where a text would do, too. */
function isNull ({ keyword, params }: ValidationError): boolean {
  return keyword === 'type' && params.type === 'null'
}
