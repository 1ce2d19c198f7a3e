import { BEHIND_A_GATEWAY, MANY_ROUNDS, PASSWORD, figureOf, interleaved, rates, startRival, startService } from './harness.ts'
import { inTurn, load, loginRequest, request, requestsWith } from './load.ts'
import { EMAIL, TOKENS } from './rivals/shared.ts'
import { seed } from './seed.ts'
import type { Figure } from './harness.ts'
import type { Measured } from './load.ts'

const MORE_THAN_THE_CACHE = 50_000
const LOGINS_AT_ONCE = 64
const LOGIN_SECONDS = 1

type Process = Awaited<ReturnType<typeof startRival>>

/** Alternatives to Postern, which do the same work in the same rounds. */
export default async function rivals () {
  const { folder, sample } = await seed({ users: MORE_THAN_THE_CACHE, sampled: MORE_THAN_THE_CACHE })
  const tokens = sample.map(({ accessToken }) => accessToken)
  const postern = await startService({ folder, env: BEHIND_A_GATEWAY })
  const newcomer = await startService({ folder }) // a second one, so that its many tokens do not evict the first one's cached tokens
  const fastifyJwt = await startRival('fastify-jwt')
  const fastifyJwtCache = await startRival('fastify-jwt', { CACHE: 'on' })
  const express = await startRival('express')
  const betterAuth = await startRival('better-auth')
  const sessions = await fetchJson<Array<{ cookie: string, token: string }>>(betterAuth, '/sessions')

  const secretLoad = (of: Process, requests: Buffer[]) => {
    const next = inTurn(requests)
    return () => load({ of, next })
  }
  const loginLoad = (of: Process, requests: Buffer[]) => {
    const next = inTurn(requests)
    return () => load({ of, next, connections: LOGINS_AT_ONCE, seconds: LOGIN_SECONDS })
  }
  const secretOf = async (of: Process) => secretLoad(of, requestsWith(await fetchJson<string[]>(of, '/tokens'), '/secret'))

  const results = await interleaved({
    known: secretLoad(postern, requestsWith(tokens.slice(0, TOKENS), '/secret')),
    first: secretLoad(newcomer, requestsWith(tokens, '/secret')),
    fastifyJwt: await secretOf(fastifyJwt),
    fastifyJwtCache: await secretOf(fastifyJwtCache),
    express: await secretOf(express),
    betterAuthJwt: secretLoad(betterAuth, requestsWith(sessions.map(({ token }) => token), '/secret')),
    betterAuthSession: secretLoad(betterAuth, sessions.map(({ cookie }) => request('GET', '/api/auth/get-session', { cookie })))
  }, MANY_ROUNDS)
  const logins = await interleaved({
    postern: loginLoad(postern, sample.map(({ username }, i) => loginRequest(username, PASSWORD, i))),
    betterAuth: loginLoad(betterAuth, [request('POST', '/api/auth/sign-in/email', { origin: 'http://127.0.0.1' }, { email: EMAIL, password: PASSWORD })])
  })
  await Promise.all([postern, newcomer, fastifyJwt, fastifyJwtCache, express, betterAuth].map(({ stop }) => stop()))

  const both = (name: string, of: Measured[], chart = 'rivals'): Figure[] => [
    figureOf(`${name} (req/s)`, rates(of), '', { chart, name }),
    figureOf(`${name}, processor time of one (µs)`, of.map(({ cost }) => cost))
  ]
  return [
    both('Postern', results.known),
    both('Postern, first sight of each token', results.first),
    both('@fastify/jwt with its cache', results.fastifyJwtCache),
    both('@fastify/jwt', results.fastifyJwt),
    both('express with jsonwebtoken', results.express),
    both('better-auth JWT, checked by jose', results.betterAuthJwt),
    both('better-auth session check', results.betterAuthSession),
    both('Postern login', logins.postern, 'logins'),
    both('better-auth sign-in', logins.betterAuth, 'logins')
  ].flat()
}

async function fetchJson<T> ({ url }: Process, path: string): Promise<T> {
  return await (await fetch(url + path)).json() as T // the type is that of the rival's own script
}
