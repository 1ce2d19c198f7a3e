import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { bearer } from '../helper.ts'
import { waysToRevoke } from './ways.ts'
import { ask, register, signIn } from './world.ts'
import type { Random } from '../chaos/service.ts'
import type { Faults } from './faults.ts'
import type { Tally } from './tally.ts'
import type { Revoker, Way } from './ways.ts'
import type { Answer, Tokens, World } from './world.ts'

const AGAIN_MILLISECONDS = 50
const MOST_REMEMBERED = 2000
/** So many checks of one revoker may wait for an instance that is stopped; meanwhile it goes on. */
const MOST_WAITING = 8
/** A token is shown to all instances before it is revoked. One that is stopped must not keep the revocation from being sent. */
const WARM_MILLISECONDS = 200

/** Revokes in all ways until it is over, and asks every instance after every answer. */
export function createRevoker (world: World, { oneOf }: Random, tally: Tally, faults: Faults, isOver: () => boolean) {
  const { instances } = world
  const ways = waysToRevoke(world)
  const revoked: string[] = []
  const checks = new Set<Promise<void>>()

  async function askAll (token: string, patience?: number) {
    return Promise.all(instances.map(async (instance) => {
      const answer = await ask(instance, 'GET', '/verify', { headers: bearer(token), patience })
      return { instance, answer }
    }))
  }

  /** A good token is never refused; and afterwards every instance has seen it. */
  async function warm (token: string) {
    for (const { instance, answer } of await askAll(token, WARM_MILLISECONDS)) {
      const isRight = !answer || answer.status !== 401
      if (!isRight) tally.violate(`${instance.name} answered 401 ${answer?.code} to a good token (faults: ${faults.now()})`)
    }
  }

  async function check (token: string, name: string) {
    const faultsThen = faults.now()
    for (const { instance, answer } of await askAll(token)) {
      tally.add('checks')
      tally.add(`checks: ${answer ? answer.status : 'no answer, killed'}`)
      if (!answer || isRefusal(answer)) continue
      tally.violate(`${instance.name} answered ${answer.status} ${answer.code ?? ''} after: ${name} (faults: ${faultsThen})`)
    }
  }

  async function checkRefresh ({ refresh_token: token }: Tokens, name: string) {
    const instance = oneOf(instances)
    const answer = await ask(instance, 'POST', '/auth/refresh', { headers: bearer(token) })
    tally.add('refreshes after a revocation')
    if (!answer || answer.status === 401 || answer.status === 503) return
    tally.violate(`${instance.name} answered ${answer.status} to a refresh after: ${name}`)
  }

  function begin (check: Promise<void>) {
    const waiting = check.finally(() => checks.delete(waiting))
    checks.add(waiting)
  }

  /** False when it was not answered, and so may happen later. */
  async function revoke (way: Way, revoker: Revoker): Promise<boolean> {
    const mark = faults.mark()
    const sentAt = performance.now()
    const answer = await way.send(revoker)
    const milliseconds = performance.now() - sentAt
    if (!answer || answer.status < 200 || answer.status >= 300) {
      tally.add(`revocations not answered: ${answer ? `${answer.status} ${answer.code}` : 'killed'}`)
      if (!answer || answer.status === 503) return false
      tally.violate(`${revoker.instance.name} answered ${answer.status} ${answer.code} to: ${way.name}`)
      return false
    }

    for (const { access_token: token } of revoker.sessions) {
      begin(check(token, way.name))
      revoked.push(token)
    }
    if (way.effect !== 'token alone') begin(checkRefresh(revoker.sessions[0], way.name))
    begin(check(oneOf(revoked), 'a revocation some time ago'))
    revoked.splice(0, revoked.length - MOST_REMEMBERED)
    tally.add('revocations answered')
    tally.add(`revocations answered: ${way.name}`)
    tally.time('revocation', milliseconds)
    if (faults.mark() === mark) tally.time('revocation without a fault', milliseconds)
    return true
  }

  /** One account, until it may have been changed as a whole: then what it signs in may be revoked by an answer that was lost. */
  async function live () {
    const credentials = { username: `r${randomUUID()}`, password: `lantern ${randomUUID()}` }
    const registered = await register(oneOf(instances), credentials)
    if (!registered) return wait(AGAIN_MILLISECONDS)

    while (!isOver()) {
      const way = oneOf(ways)
      const signedIn = await Promise.all(Array.from({ length: way.sessions }, () => signIn(oneOf(instances), credentials)))
      const [first, ...others] = signedIn.filter((tokens) => tokens !== undefined)
      if (!first || others.length < way.sessions - 1) {
        await wait(AGAIN_MILLISECONDS)
        continue
      }
      const sessions: Revoker['sessions'] = [first, ...others]
      await Promise.all(sessions.map(({ access_token: token }) => warm(token)))
      const isAnswered = await revoke(way, { instance: oneOf(instances), userId: registered.user.id, sessions })
      while (checks.size >= MOST_WAITING) await Promise.race(checks)
      if (way.effect === 'whole account' && (way.name === 'disable' || !isAnswered)) return
    }
  }

  return async () => {
    while (!isOver()) await live()
    await Promise.all(checks)
  }
}

/** The refusals after which a gateway lets nobody in. */
function isRefusal ({ status, code = '' }: NonNullable<Answer>): boolean {
  return status === 401 || (status === 503 && ['not_verified', 'overloaded'].includes(code))
}
