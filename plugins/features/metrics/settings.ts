import { Type } from 'typebox'
import { address } from '../../core/config/kinds.ts'

export const settings = {
  METRICS_PORT: Type.Optional(Type.Integer({
    minimum: 0,
    maximum: 65_535,
    description: 'a port from 0 (any free one) to 65535, different from PORT'
  })),
  METRICS_HOST: address('127.0.0.1')
}
