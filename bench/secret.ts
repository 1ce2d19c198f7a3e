import { MANY_ROUNDS, figureOf, interleaved, rates, ratios, startRival, startService } from './harness.ts'
import { inTurn, load, requestsWith } from './load.ts'
import { seed } from './seed.ts'

/** The cost of a good token: protected routes, compared with an open route of the same server, and with bare Node and Fastify. */
export default async function secret () {
  const { folder, sample } = await seed({ users: 10_000 })
  const tokens = sample.map(({ accessToken }) => accessToken)
  const service = await startService({ folder })
  const [node, framework] = await Promise.all([startRival('bare-http'), startRival('bare-fastify')])

  const nextOpen = inTurn(requestsWith(tokens, '/health/live'))
  const nextSecret = inTurn(requestsWith(tokens, '/secret'))
  const nextVerify = inTurn(requestsWith(tokens, '/verify'))

  for (let known = 0; known < tokens.length;) known += (await load({ of: service, next: nextVerify })).latencies.length // otherwise the first rounds would measure new tokens
  const { http, fastify, open, secret, verify } = await interleaved({
    http: () => load({ of: node, next: nextOpen }),
    fastify: () => load({ of: framework, next: nextOpen }),
    open: () => load({ of: service, next: nextOpen }),
    secret: () => load({ of: service, next: nextSecret }),
    verify: () => load({ of: service, next: nextVerify })
  }, MANY_ROUNDS)
  await Promise.all([service.stop(), node.stop(), framework.stop()])

  return [
    figureOf('bare node:http (req/s)', rates(http), '', { chart: 'routes', name: 'bare node:http', isLimit: true }),
    figureOf('bare Fastify route (req/s)', rates(fastify), '', { chart: 'routes', name: 'bare Fastify route', isLimit: true }),
    figureOf('open route (req/s)', rates(open), '', { chart: 'routes', name: 'open route', isLimit: true }),
    figureOf('GET /secret (req/s)', rates(secret), '', { chart: 'routes', name: 'GET /secret' }),
    figureOf('GET /verify (req/s)', rates(verify), '', { chart: 'routes', name: 'GET /verify' }),
    figureOf('GET /secret ÷ open route', ratios(secret, open, 'rate'), '≥ 0.85'),
    figureOf('GET /verify ÷ open route', ratios(verify, open, 'rate'), '≥ 0.85'),
    figureOf('the same by processor time: open route ÷ GET /secret', ratios(open, secret, 'cost')),
    figureOf('the same by processor time: open route ÷ GET /verify', ratios(open, verify, 'cost'))
  ]
}
