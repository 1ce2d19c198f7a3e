import { oneOf } from '../../core/config/kinds.ts'

export const settings = {
  VERIFY_PREFLIGHT: oneOf(['refuse', 'allow'], 'refuse')
}
