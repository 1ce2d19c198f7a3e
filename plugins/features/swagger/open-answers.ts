import type { FastifyInstance } from 'fastify'

/** The most answers of the docs that are sent at the same time. */
const MOST_OPEN = 100

/**
 * The docs are the largest answers that anybody can ask for, and some keep a file open until they are read. Clients that
 * do not read them could fill the memory and use up the open files, so only so many are sent at a time.
 */
export function limitOpenAnswers (docs: FastifyInstance) {
  let open = 0
  docs.addHook('onRequest', (_request, { raw: response }, done) => {
    if (open >= MOST_OPEN || !response.socket) return done(docs.problem('overloaded')) // without a socket it waits for the answer before it
    open++
    response.once('close', () => { open-- })
    done()
  })
}
