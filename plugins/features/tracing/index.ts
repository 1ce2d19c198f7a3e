import fp from 'fastify-plugin'
import { settings } from './settings.ts'
import type { FastifyPluginAsync } from 'fastify'

const PACKAGES = '@fastify/otel @opentelemetry/resources@2 @opentelemetry/sdk-trace-node@2 @opentelemetry/exporter-trace-otlp-http@0.222'

/**
 * Sends a trace of every request to an OpenTelemetry collector (OTLP over HTTP, as JSON). Nothing is loaded unless
 * OTEL_EXPORTER_OTLP_ENDPOINT is set. The packages are large, so everybody who wants them installs them.
 */
const tracing: FastifyPluginAsync<{ isServing?: boolean }> = async (fastify, { isServing = true }) => {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SERVICE_NAME: serviceName } = fastify.settings(settings)
  if (endpoint === undefined || !isServing) return

  const { FastifyOtelInstrumentation, BatchSpanProcessor, NodeTracerProvider, OTLPTraceExporter, resourceFromAttributes } = await load()
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` })
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName }),
    spanProcessors: [new BatchSpanProcessor(exporter)]
  })
  provider.register() // so that a gateway's `traceparent` is taken up
  fastify.addHook('onClose', () => provider.shutdown()) // sends what is left

  // No span for each hook, which would cost /verify more than its work does; and no exceptions: a
  // failed query names what was to be stored.
  const instrumentation = new FastifyOtelInstrumentation({
    instrumentHooks: false,
    recordExceptions: false,
    requestHook: (span, { url }) => { span.setAttribute('url.path', url.split('?', 1).join()) } // a query may hold a secret
  })
  instrumentation.setTracerProvider(provider)
  await fastify.register(instrumentation.plugin())
}

async function load () {
  try {
    const [otel, sdk, otlp, resources] = await Promise.all([
      import('@fastify/otel'),
      import('@opentelemetry/sdk-trace-node'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources')
    ])
    return { ...otel, ...sdk, ...otlp, ...resources }
  } catch (cause) {
    const sentence = `OTEL_EXPORTER_OTLP_ENDPOINT is set, but its packages are not installed. Run "npm install ${PACKAGES}".`
    throw Object.assign(new Error(sentence, { cause }), { code: 'wrong_setting' })
  }
}

export default fp(tracing, { name: 'tracing', dependencies: ['config'] })
