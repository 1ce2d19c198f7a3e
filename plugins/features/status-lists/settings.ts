import { duration } from '../../core/config/kinds.ts'

export const settings = {
  STATUS_LIST_TTL: duration('15s')
}
