import { bearer } from '../helper.ts'
import { ask } from './world.ts'
import type { Instance } from './service.ts'
import type { Answer, Tokens, World } from './world.ts'

/** Somebody at an instance, with the tokens that are revoked. */
export interface Revoker { instance: Instance, userId: string, sessions: [Tokens, ...Tokens[]] }

/** One way to revoke access tokens. */
export interface Way {
  name: string
  /** The number of sessions that it takes. */
  sessions: 1 | 2
  /** What it does beyond them: the refresh token stays good, or the account is changed for later sign-ins too. */
  effect?: 'token alone' | 'whole account'
  send: (revoker: Revoker) => Promise<Answer>
}

const LOGOUT = '/auth/logout'
const REVOKE = '/oauth/revoke'

export function waysToRevoke ({ client, admin }: World): Way[] {
  const disabled = { disabled: true }
  const byAccessToken = ({ sessions: [{ access_token: token }] }: Revoker) => bearer(token)
  return [
    {
      name: 'logout',
      sessions: 1,
      send: (revoker) => ask(revoker.instance, 'POST', LOGOUT, { headers: byAccessToken(revoker) })
    },
    {
      name: 'logout by refresh token',
      sessions: 1,
      send: ({ instance, sessions: [{ refresh_token: token }] }) => ask(instance, 'POST', LOGOUT, { body: { refresh_token: token } })
    },
    {
      name: '/oauth/revoke, access token',
      sessions: 1,
      effect: 'token alone',
      send: ({ instance, sessions: [{ access_token: token }] }) => ask(instance, 'POST', REVOKE, { headers: client, body: { token } })
    },
    {
      name: '/oauth/revoke, refresh token',
      sessions: 1,
      send: ({ instance, sessions: [{ refresh_token: token }] }) => ask(instance, 'POST', REVOKE, { headers: client, body: { token } })
    },
    {
      name: 'logout everywhere',
      sessions: 2,
      effect: 'whole account',
      send: (revoker) => ask(revoker.instance, 'POST', `${LOGOUT}/all`, { headers: byAccessToken(revoker) })
    },
    {
      name: 'disable',
      sessions: 1,
      effect: 'whole account',
      send: ({ instance, userId }) => ask(instance, 'PATCH', `/users/${userId}`, { headers: bearer(admin.access_token), body: disabled })
    }
  ]
}
