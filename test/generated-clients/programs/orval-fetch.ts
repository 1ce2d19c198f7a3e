export interface Pair { access_token: string, refresh_token: string }

/** The state of a client: where the service is, and the tokens of who is signed in. */
export const state: { address: string, tokens?: Pair, refresh?: () => Promise<Pair> } = { address: '' }

/** Sends what orval's functions describe, with the access token, and once more with a new one after a 401. */
export async function orvalFetch<T> (path: string, options: RequestInit): Promise<T> {
  let response = await send(path, options)
  if (response.status === 401 && state.tokens && path !== '/auth/refresh') {
    state.tokens = await state.refresh!()
    response = await send(path, options)
  }
  const text = await response.text()
  return { data: text ? JSON.parse(text) : undefined, status: response.status, headers: response.headers } as T
}

function send (path: string, options: RequestInit): Promise<Response> {
  const headers = new Headers(options.headers)
  if (state.tokens) headers.set('authorization', `Bearer ${state.tokens.access_token}`)
  return fetch(state.address + path, { ...options, headers })
}
