import { createClient, createConfig } from '../generated/hey-api/client/index.js'
import { getSecret, logout, refreshTokens, register } from '../generated/hey-api/index.js'
import type { Problem, SignedIn, Tokens } from '../generated/hey-api/index.js'

/** As its documentation has it: `auth` gives the token, and an interceptor refreshes it at a 401 and sends again. */
export async function visit (baseUrl: string, letExpire: () => void): Promise<unknown[]> {
  let tokens: Tokens | undefined
  const client = createClient(createConfig({ baseUrl, auth: () => tokens?.access_token }))
  client.interceptors.response.use(async (response, request) => {
    if (response.status !== 401 || !tokens || request.url.endsWith('/auth/refresh')) return response
    const { data } = await refreshTokens({ client, body: { refresh_token: tokens.refresh_token }, throwOnError: true })
    tokens = data
    return fetch(request.url, { method: request.method, headers: { authorization: `Bearer ${tokens.access_token}` } })
  })

  const registered = await register({ client, body: { username: 'heyday', password: 'seven yellow umbrellas' } })
  const signedIn: SignedIn | undefined = registered.data
  tokens = signedIn
  letExpire()
  const secret = await getSecret({ client })
  const out = await logout({ client })
  tokens = undefined
  const refused = await getSecret({ client })
  const code: Problem['code'] | undefined = refused.error?.code
  return [registered.response?.status, secret.data?.answer, out.response?.status, code === 'missing_token']
}
