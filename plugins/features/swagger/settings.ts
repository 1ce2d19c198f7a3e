import { oneOf } from '../../core/config/kinds.ts'

export const settings = {
  DOCS: oneOf(['on', 'off'], 'on')
}
