import { once } from 'node:events'
import { createServer } from 'node:http'
import { registerHooks } from 'node:module'
import { json } from 'node:stream/consumers'
import t from 'tap'
import { PASSWORD, build, signUp } from '../../helper.ts'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const GATEWAY_SPAN_ID = 'b7ad6b7169203331'

interface Span {
  name: string
  traceId: string
  parentSpanId?: string
  status: { code?: number }
  attributes: Array<{ key: string, value: { stringValue?: string, intValue?: number } }>
}

interface Export {
  resourceSpans: Array<{ resource: { attributes: unknown[] }, scopeSpans: Array<{ spans: Span[] }> }>
}

/** An OpenTelemetry collector, which keeps what it is sent. */
async function startCollector (t: Test) {
  const received: Array<{ path: string | undefined, body: Export }> = []
  const collector = createServer(async (request, response) => {
    received.push({ path: request.url, body: await json(request) as Export })
    response.setHeader('content-type', 'application/json').end('{}')
  }).listen(0, '127.0.0.1')
  await once(collector, 'listening')
  t.teardown(() => { collector.closeAllConnections(); collector.close() })
  const { port } = collector.address() as AddressInfo // it listens on a port
  return { received, address: `http://127.0.0.1:${port}` }
}

t.test('OTEL_EXPORTER_OTLP_ENDPOINT', async (t) => {
  t.test('is named in the error when the packages are not installed', async (t) => {
    const hooks = registerHooks({
      resolve (specifier, context, next) {
        if (specifier === '@fastify/otel') throw Object.assign(new Error('not installed'), { code: 'ERR_MODULE_NOT_FOUND' })
        return next(specifier, context)
      }
    })
    t.teardown(() => hooks.deregister())

    await t.rejects(build(t, { env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' } }), { code: 'wrong_setting', message: /^OTEL_EXPORTER_OTLP_ENDPOINT is set, but .+ "npm install @fastify\/otel .+"\.$/ })
  })

  t.test('gets a span of every request, in the trace of the gateway, and no secret', async (t) => {
    const { received, address } = await startCollector(t)
    const server = await build(t, { env: { OTEL_EXPORTER_OTLP_ENDPOINT: `${address}/`, OTEL_SERVICE_NAME: 'gate' } })

    const ada = await signUp(server)
    const traced = await ada.inject({ url: '/secret?hidden=1', headers: { traceparent: `00-${TRACE_ID}-${GATEWAY_SPAN_ID}-01` } })
    await ada.inject({ url: '/verify' })
    await server.inject({ url: '/secret' })
    await ada.refresh()
    t.equal(traced.statusCode, 200)
    await server.close() // which sends what is left

    const spans = received.flatMap(({ body }) => body.resourceSpans).flatMap(({ scopeSpans }) => scopeSpans).flatMap(({ spans }) => spans)
    const requests = spans.filter(({ name }) => name === 'request').map((span) => ({ ...span, attributes: Object.fromEntries(span.attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue])) }))
    t.same(new Set(received.map(({ path }) => path)), new Set(['/v1/traces']))
    t.match(received[0]?.body.resourceSpans[0]?.resource.attributes, [{ key: 'service.name', value: { stringValue: 'gate' } }])
    t.match(requests.find(({ traceId }) => traceId === TRACE_ID), { parentSpanId: GATEWAY_SPAN_ID, attributes: { 'http.route': '/secret', 'http.response.status_code': 200 } })
    t.same(requests.map(({ attributes }) => `${attributes['http.route']} ${attributes['http.response.status_code']}`), ['/auth/register 201', '/secret 200', '/verify 200', '/secret 401', '/auth/refresh 200'])

    t.same(spans.filter(({ name }) => !/^(request|handler - \w+)$/.test(name)), [], 'and none of a hook')

    const text = JSON.stringify(received)
    for (const secret of [ada.access_token, ada.refresh_token, PASSWORD, 'hidden']) t.notOk(text.includes(secret))
  })
})
