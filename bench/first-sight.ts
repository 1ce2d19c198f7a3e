import { randomBytes, sign, verify } from 'node:crypto'
import { readKeyPair } from './bare.ts'
import { MANY_ROUNDS, alone, figureOf, interleaved, rates, startService } from './harness.ts'
import { inTurn, load, requestsWith } from './load.ts'
import { seed } from './seed.ts'

const MORE_THAN_THE_CACHE = 50_000
const SIGNED_BYTES = 600

/** Tokens that are not in the cache, compared with their least cost: a request and a signature check. */
export default async function firstSight () {
  const { folder, sample } = await seed({ users: MORE_THAN_THE_CACHE, sampled: MORE_THAN_THE_CACHE })
  const tokens = sample.map(({ accessToken }) => accessToken)
  const service = await startService({ folder })

  const nextOpen = inTurn(requestsWith(tokens, '/health/live'))
  const nextToken = inTurn([...tokens.keys()]) // shared by both routes, so that neither gets a token that the other has just cached
  const requestsOf = (requests: Buffer[]) => () => requests[nextToken()]! // there is one for each token
  const nextNew = requestsOf(requestsWith(tokens, '/verify'))
  const nextNewSecret = requestsOf(requestsWith(tokens, '/secret'))
  const { privateKey, publicKey } = readKeyPair()
  const content = randomBytes(SIGNED_BYTES)
  const signature = sign('sha256', content, { key: privateKey, dsaEncoding: 'ieee-p1363' })

  const { open, first, firstSecret, bare } = await interleaved({
    open: () => load({ of: service, next: nextOpen }),
    first: () => load({ of: service, next: nextNew }),
    firstSecret: () => load({ of: service, next: nextNewSecret }),
    bare: () => alone(() => { verify('sha256', content, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature) })
  }, MANY_ROUNDS)
  await service.stop()

  const againstCost = (results: typeof first) => results.map(({ rate }, i) => rate * (1 / open[i]!.rate + 1 / bare[i]!.rate))
  return [
    figureOf('bare ES256 verify (1/s)', rates(bare), '', { chart: 'routes', name: 'bare ES256 verify', isLimit: true }),
    figureOf('GET /verify, first sight of each token (req/s)', rates(first), '', { chart: 'routes', name: 'GET /verify, first sight' }),
    figureOf('GET /secret, first sight ÷ (open route + bare ES256 verify)', againstCost(firstSecret), '≥ 0.85'),
    figureOf('GET /verify, first sight ÷ (open route + bare ES256 verify)', againstCost(first), '≥ 0.85')
  ]
}
