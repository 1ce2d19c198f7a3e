interface Schema {
  type?: string
  properties?: Record<string, Schema>
  required?: string[]
  anyOf?: Schema[]
}

/**
 * Builds the function that takes out of a body the optional fields that are `null` although their schema knows no null, and
 * out of a query the parameters that are empty: typed clients and forms send what they do not have.
 */
export function absentFieldsRemover (schema: Schema, isQuery: boolean): (data: unknown) => void {
  const { properties = {}, required = [] } = [schema, ...schema.anyOf ?? []].find(({ properties }) => properties) ?? {}
  const optional = Object.keys(properties).filter((name) => !required.includes(name) && (isQuery || !takesNull(properties[name]!)))
  const absent = isQuery ? '' : null

  return (data) => {
    if (typeof data !== 'object' || data === null) return
    const fields = data as Record<string, unknown> // every object has some
    for (const name of optional) if (Object.hasOwn(fields, name) && fields[name] === absent) delete fields[name]
  }
}

function takesNull ({ anyOf = [], type }: Schema): boolean {
  return type === 'null' || anyOf.some(takesNull)
}
