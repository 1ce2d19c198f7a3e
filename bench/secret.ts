import { PASSWORD, figureOf, interleaved, post, startService, throughput } from './harness.ts'

const ROUNDS = 5

/** What the token costs: a protected route beside an open one of the same server. */
export default async function secret () {
  const service = await startService()
  const { access_token: token } = await post(`${service.url}/auth/register`, { username: 'ada', password: PASSWORD })
  const headers = { authorization: `Bearer ${token}` }

  const { open, protectedRoute } = await interleaved(ROUNDS, {
    open: () => throughput({ url: `${service.url}/health/live`, headers }),
    protectedRoute: () => throughput({ url: `${service.url}/secret`, headers })
  })
  await service.stop()

  return [
    figureOf('open route (req/s)', open, ''),
    figureOf('GET /secret (req/s)', protectedRoute, ''),
    figureOf('GET /secret ÷ open route', open.map((rate, i) => protectedRoute[i]! / rate), '≥ 0.7')
  ]
}
