import { randomUUID } from 'node:crypto'
import { codeOf } from './problem-codes.ts'
import { coreProblem } from './problem-catalogue.ts'
import { problemBody } from './problems.ts'
import { RETRY_AFTER_SECONDS } from './errors.ts'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance } from 'fastify'

const HANG_UP_MILLISECONDS = 1000

/**
 * Answers what never became a request (broken HTTP, headers that are too large or too slow) in the shape of every other
 * refusal, with the headers of every other answer.
 */
export function refuseConnection (this: FastifyInstance, error: FastifyError, socket: Socket) {
  if (!socket.writable || error.code === 'ECONNRESET') return socket.destroy()
  const code = codeOf({ ...error, statusCode: 400 }, { kindOf: coreProblem })
  const problem = problemBody(code, coreProblem(code)!) // the code of a kind that was found
  const body = JSON.stringify(problem)
  const headers = {
    ...this.securityHeaders,
    'x-request-id': randomUUID(),
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    ...problem.status === 503 && { 'retry-after': RETRY_AFTER_SECONDS },
    connection: 'close'
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.setTimeout(HANG_UP_MILLISECONDS) // closes the connection of a client that does not
  socket.end([`HTTP/1.1 ${problem.status} ${problem.title}`, ...lines, '', body].join('\r\n'))
}
