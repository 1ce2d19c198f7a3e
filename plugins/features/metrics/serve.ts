import Fastify, { LogController } from 'fastify'
import type { FastifyBaseLogger } from 'fastify'

const REQUEST_TIMEOUT_MILLISECONDS = 10_000

/**
 * Answers GET /metrics with what `read` gives, on a port of its own. Gives the function that stops it.
 * @throws Error with `code: 'wrong_setting'` and a sentence that names METRICS_PORT, when it cannot listen there
 */
export async function serveMetrics ({ host, port }: { host: string, port: number }, read: () => Promise<string>, log: FastifyBaseLogger) {
  const server = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: REQUEST_TIMEOUT_MILLISECONDS,
    forceCloseConnections: true
  })
  server.get('/metrics', async (_request, reply) => reply.type('text/plain; version=0.0.4; charset=utf-8').send(await read()))
  try {
    await server.listen({ host, port, listenTextResolver: (address) => `metrics: ${address}/metrics` })
  } catch (cause) {
    const { message } = cause as Error // Node's own
    const sentence = `METRICS_PORT is ${port} and METRICS_HOST is "${host}" but should be an address and a port that are free (${message}).`
    throw Object.assign(new Error(sentence, { cause }), { code: 'wrong_setting' })
  }
  return () => server.close()
}
