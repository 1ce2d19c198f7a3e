import t from 'tap'
import { build } from '../../helper.ts'

t.test('A wrong setting of a feature', async (t) => {
  for (const [name, value] of [
    ['DOCS', 'true'],
    ['METRICS_HOST', 'a host'],
    ['METRICS_PORT', '65536'],
    ['OTEL_SERVICE_NAME', 'two words'],
    ['STATUS_LIST_TTL', '15'],
    ['VERIFY_PREFLIGHT', 'on']
  ] as const) {
    t.test(`stops the start with one sentence: ${name}=${value}`, async (t) => {
      const start = build(t, { env: { [name]: value } })

      await t.rejects(start, { code: 'wrong_setting', message: new RegExp(`^${name} is "${value}" but should be [^\\n]+[^\\s.]\\.$`) })
    })
  }

  t.test('does not show one that may hold a secret', async (t) => {
    const start = build(t, { env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://user:secret@collector' } })

    await t.rejects(start, { code: 'wrong_setting', message: 'OTEL_EXPORTER_OTLP_ENDPOINT is set (27 bytes) but should be the http(s) address of a collector, such as http://127.0.0.1:4318.' })
  })
})
