import { setTimeout as wait } from 'node:timers/promises'
import { bearer } from '../helper.ts'
import { ask, register } from './world.ts'
import type { Instance } from './service.ts'
import type { Tokens } from './world.ts'

const AGAIN_MILLISECONDS = 100
const PATIENCE_MILLISECONDS = 30_000

let count = 0

/** So many people who have just registered, at the instances in turn. */
export async function makeSessions (instances: Instance[], number: number): Promise<Tokens[]> {
  const sessions: Tokens[] = []
  while (sessions.length < number) {
    const instance = instances[count % instances.length]! // there are some
    const tokens = await register(instance, { username: `person${++count}`, password: 'six green ladders' })
    if (!tokens) throw new Error('Nobody can register.')
    sessions.push(tokens)
  }
  return sessions
}

/** The status of an access token at an instance at this moment; 0 without an answer. */
export async function verify (instance: Instance, { access_token: token }: Tokens): Promise<number> {
  return (await ask(instance, 'GET', '/verify', { headers: bearer(token) }))?.status ?? 0
}

/** Asks again while the answer is 503, as a good client does; gives the last answer's status. */
async function untilAnswered (request: () => Promise<number>): Promise<number> {
  const deadline = performance.now() + PATIENCE_MILLISECONDS
  for (;;) {
    const status = await request()
    if ((status !== 503 && status !== 0) || performance.now() > deadline) return status
    await wait(AGAIN_MILLISECONDS)
  }
}

export function verifyInTheEnd (instance: Instance, tokens: Tokens): Promise<number> {
  return untilAnswered(() => verify(instance, tokens))
}

/** The status of one attempt to log out. */
export async function logOutOnce (instance: Instance, { access_token: token }: Tokens): Promise<number> {
  return (await ask(instance, 'POST', '/auth/logout', { headers: bearer(token) }))?.status ?? 0
}

/** True when it was answered, though perhaps the first answer was lost: then the token is revoked already. */
export async function logOut (instance: Instance, tokens: Tokens): Promise<boolean> {
  return [204, 401].includes(await untilAnswered(() => logOutOnce(instance, tokens)))
}

/** The next tokens of a session; undefined when it is over. */
export async function refresh (instance: Instance, tokens: Tokens): Promise<Tokens | undefined> {
  let next: Tokens | undefined
  await untilAnswered(async () => {
    const answer = await ask(instance, 'POST', '/auth/refresh', { headers: bearer(tokens.refresh_token) })
    if (answer?.status === 200) next = { ...tokens, ...JSON.parse(answer.text) }
    return answer?.status ?? 0
  })
  return next
}
