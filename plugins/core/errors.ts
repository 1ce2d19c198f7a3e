import { STATUS_CODES } from 'node:http'
import sensible from '@fastify/sensible'
import fp from 'fastify-plugin'
import { toErrorItems } from './error-items.ts'
import { problemBody } from './problems.ts'
import { codeOf } from './problem-codes.ts'
import { createRefusalLog } from './refusal-log.ts'
import type { FastifyError, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import type { ProblemKind } from './problem-catalogue.ts'
import type { Problem, ProblemCode } from './problems.ts'

export const RETRY_AFTER_SECONDS = '1'

declare module 'fastify' {
  interface FastifyInstance {
    /** Calls `listener` with the code of every refusal that answers a request. A listener that throws is logged, and changes nothing. */
    onRefusal: (listener: RefusalListener) => void
  }
}

type RefusalListener = (code: ProblemCode, request: FastifyRequest) => void

interface Thrown extends FastifyError {
  detail?: string
  headers?: Record<string, string>
  /** Set by http-errors, and so by `fastify.httpErrors`: the message is meant for the caller. */
  expose?: boolean
}

/** The one place where an error becomes an answer and a line in the log. */
const errors: FastifyPluginAsync = async (fastify) => {
  const { log, now, problem, problems } = fastify
  const listeners: RefusalListener[] = []
  const refusalLog = createRefusalLog(log, now)

  function handleError (thrown: Thrown | null | undefined, request: FastifyRequest, reply: FastifyReply) {
    const error: Partial<Thrown> = thrown ?? {} // JavaScript throws anything
    const code = codeOf(error, problems)
    const kind = problems.kindOf(code)!
    const body = toBody(error, code, kind)
    const isForeseen = code === error.code && error.cause === undefined
    if (!isForeseen && body.status >= 500) logFailure(request, body, thrown)
    else if (refusalLog.hasRoom(body.code)) logRefusal(request, body)
    for (const listener of listeners) notify(listener, code, request)

    const challenge = challengeOf(code, kind)
    if (challenge) reply.header('www-authenticate', challenge)
    if (body.status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS)
    if (error.validation) body.errors = toErrorItems(error.validation)
    return reply.code(body.status).headers(error.headers ?? {}).type('application/problem+json').send(body)
  }

  /** A listener that fails must not change the answer. */
  function notify (listener: RefusalListener, code: ProblemCode, request: FastifyRequest) {
    try {
      listener(code, request)
    } catch (err) {
      request.log.error({ err }, 'a listener of refusals failed')
    }
  }

  fastify.addHook('onClose', async () => refusalLog.flush())
  await fastify.register(sensible)
  fastify.setErrorHandler(handleError)
  fastify.setNotFoundHandler(async () => { throw problem('not_found') })
  fastify.decorate('onRefusal', (listener) => { listeners.push(listener) })
}

/** The body that answers an error. What a fork's route throws through `fastify.httpErrors` keeps its status. */
function toBody (error: Partial<Thrown>, code: ProblemCode, kind: ProblemKind): Static<typeof Problem> {
  const body = problemBody(code, kind, code === error.code ? error.detail : undefined) // the details of other errors are not for callers
  const { expose, message = '', statusCode: status = body.status } = error
  if (expose === undefined || status === body.status) return body

  const title = STATUS_CODES[status] ?? body.title
  return { ...body, status, title, code: title.toLowerCase().replaceAll(/\W+/g, '_'), detail: expose ? message : body.detail }
}

function logRefusal (request: FastifyRequest, body: Static<typeof Problem>) {
  request.log[body.status < 500 ? 'info' : 'warn'](toLine(request, body), 'refused')
}

function logFailure (request: FastifyRequest, body: Static<typeof Problem>, thrown: unknown) {
  request.log.error({ ...toLine(request, body), err: thrown }, 'failed')
}

function toLine ({ method, routeOptions: { url: route }, ip }: FastifyRequest, { code, status }: Static<typeof Problem>) {
  return { event: 'refused', code, status, method, route, ip }
}

/** RFC 6750, section 3. A kind with a challenge of its own names no error, because no token was presented. */
function challengeOf (code: ProblemCode, [status, detail, challenge]: ProblemKind): string | undefined {
  if (challenge) return challenge
  if (status === 401) return `Bearer error="invalid_token", error_description="${detail}"`
  if (code === 'forbidden') return `Bearer error="insufficient_scope", error_description="${detail}"`
}

export default fp(errors, { name: 'errors', dependencies: ['clock', 'problems'] })
