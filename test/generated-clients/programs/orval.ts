import { getSecret, logout, refreshTokens, register } from '../generated/orval.js'
import { state } from './orval-fetch.js'
import type { Tokens } from '../generated/orval.js'

/** With a `mutator` for the token, as its documentation has it. */
export async function visit (address: string, letExpire: () => void): Promise<unknown[]> {
  Object.assign(state, { address, refresh })

  const registered = await register({ username: 'orville', password: 'seven yellow umbrellas' })
  if (registered.status !== 201) throw new Error(registered.data.code)
  state.tokens = registered.data
  letExpire()
  const secret = await getSecret()
  const out = await logout()
  state.tokens = undefined
  const refused = await getSecret()
  const isMissing = refused.status === 401 && refused.data.code === 'missing_token'
  return [registered.status, secret.status === 200 && secret.data.answer, out.status, isMissing]
}

async function refresh (): Promise<Tokens> {
  const { data, status } = await refreshTokens({ refresh_token: state.tokens!.refresh_token })
  if (status !== 200) throw new Error(data.code)
  return data
}
