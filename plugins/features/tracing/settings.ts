import { Type } from 'typebox'

export const settings = {
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(Type.String({
    pattern: '^https?://[^\\s/?#]+[^\\s?#]*$',
    writeOnly: true,
    description: 'the http(s) address of a collector, such as http://127.0.0.1:4318'
  })),
  OTEL_SERVICE_NAME: Type.String({ default: 'postern', pattern: '^\\S+$', description: 'a name without spaces' })
}
