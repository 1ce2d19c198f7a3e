import { Type } from 'typebox'
import { address } from '../../core/config/kinds.ts'
import type { FastifyInstance } from 'fastify'

export const settings = {
  METRICS_PORT: Type.Optional(Type.Integer({
    minimum: 0,
    maximum: 65_535,
    description: 'a port from 0 (any free one) to 65535, different from PORT'
  })),
  METRICS_HOST: address('127.0.0.1')
}

/**
 * Where metrics are served; `port` is undefined when they are not.
 * @throws Error with `code: 'wrong_setting'` when the service itself listens on that port
 */
export function readSettings ({ config, settings: read }: FastifyInstance) {
  const { METRICS_PORT: port, METRICS_HOST: host } = read(settings)
  if (port === undefined || port === 0 || port !== config.port) return { host, port }
  const sentence = `METRICS_PORT is ${port}, as PORT is, but should be another port.`
  throw Object.assign(new Error(sentence), { code: 'wrong_setting' })
}
