import createClient from 'openapi-fetch'
import type { components, paths } from '../generated/openapi-typescript.js'

type Tokens = components['schemas']['Tokens']

/** As its documentation has it: one client that adds the access token to every request, refreshes at a 401 and sends again. */
export async function visit (baseUrl: string, letExpire: () => void): Promise<unknown[]> {
  const api = createClient<paths>({ baseUrl })
  let tokens: Tokens | undefined
  api.use({
    onRequest ({ request }) {
      if (tokens) request.headers.set('authorization', `Bearer ${tokens.access_token}`)
    },
    async onResponse ({ request, response, schemaPath }) {
      if (response.status !== 401 || !tokens || schemaPath === '/auth/refresh') return
      const { data, error } = await api.POST('/auth/refresh', { body: { refresh_token: tokens.refresh_token } })
      if (error) throw new Error(error.code)
      tokens = data
      return fetch(request.url, { method: request.method, headers: { authorization: `Bearer ${tokens.access_token}` } })
    }
  })

  const registered = await api.POST('/auth/register', { body: { username: 'fetcher', password: 'seven yellow umbrellas' } })
  tokens = registered.data
  letExpire()
  const secret = await api.GET('/secret')
  const out = await api.POST('/auth/logout', {})
  tokens = undefined
  const refused = await api.GET('/secret')
  const isMissing: boolean = refused.error?.code === 'missing_token'
  return [registered.response.status, secret.data?.answer, out.response.status, isMissing]
}
