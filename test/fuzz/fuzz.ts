import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import { createCast, filledIn } from './cast.ts'
import { createJudge } from './judge.ts'
import { anyRequest } from './requests.ts'
import { PASSWORDS } from './values.ts'
import type { FastifyInstance, InjectOptions } from 'fastify'
import type { Generated } from './requests.ts'

/** What of a cast is nobody's to see in an answer, other than its owner's in the answer that gives it out. */
const SECRETS = ['password', 'access', 'refresh', 'admin', 'client', 'revoked', 'expired', 'forged', 'tampered', 'stale']

interface Options {
  requests: number
  seed: number
  /** What was logged since the last call. */
  logged: () => string
}

/**
 * Sends random requests to the service and judges each answer by the document that the service serves. Gives how often
 * each operation answered with each status, as in `{ 'get /secret 200': 3 }`.
 * @throws what fast-check says: the shortest request with a wrong answer, and the seed that makes it again
 */
export async function fuzz (server: FastifyInstance, { requests, seed, logged }: Options): Promise<Record<string, number>> {
  const document = (await server.inject({ url: '/docs/json' })).json()
  const { assertGood, assertNothingLeaks } = createJudge(document)
  const cast = await createCast(server)
  const counts: Record<string, number> = {}

  await fc.assert(fc.asyncProperty(anyRequest(document), async (request) => {
    const all = await cast.current()
    const secrets = [...SECRETS.map((name) => all[name]!), ...PASSWORDS]

    const { answer, body } = await send(server, JSON.parse(filledIn(JSON.stringify(request), all)))

    assertGood(request, answer, body, secrets)
    assertNothingLeaks(secrets, logged())
    const operation = `${request.method.toLowerCase()} ${request.path} ${answer.statusCode}`
    counts[operation] = (counts[operation] ?? 0) + 1
  }), { seed, numRuns: requests })
  return counts
}

/** Sends it, and gives the answer with its body; of a stream of events, which would not end, without. */
async function send (server: FastifyInstance, { headers, method, path, payload, url }: Generated) {
  const options = { headers, payload, url, method: method as InjectOptions['method'] } // other methods are not typed, but sent
  if (path !== '/revocations') {
    const answer = await server.inject(options)
    return { answer, body: answer.body }
  }
  const answer = await server.inject({ ...options, payloadAsStream: true })
  const isEndless = answer.headers['content-type'] === 'text/event-stream'
  const stream = answer.stream()
  if (isEndless) stream.destroy()
  return { answer, body: isEndless ? '' : await text(stream) }
}
