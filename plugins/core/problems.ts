import { STATUS_CODES } from 'node:http'
import fp from 'fastify-plugin'
import { Type } from 'typebox'
import { CORE_PROBLEMS } from './problem-catalogue.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { Static } from 'typebox'
import type { CoreCode, ProblemKind } from './problem-catalogue.ts'

declare module 'fastify' {
  /** The codes of all refusals. A feature adds its own: `interface ProblemCodes { mail_unavailable: true }`. */
  interface ProblemCodes extends Record<CoreCode, true> {}

  interface FastifyInstance {
    /** Makes the error that refuses a request: `throw fastify.problem('not_found')`. */
    problem: (code: ProblemCode, extra?: ProblemExtra) => Error
    problems: Problems
  }
  interface FastifyContextConfig {
    /** The refusals of the route's handler, for the OpenAPI document. Hooks add their own. */
    refusals?: ProblemCode[]
  }
}

export type ProblemCode = keyof import('fastify').ProblemCodes

export interface Problems {
  /** Adds the refusals of a feature. */
  add: (kinds: Partial<Record<ProblemCode, ProblemKind>>) => void
  /** Every code, sorted by status. */
  codes: () => ProblemCode[]
  /** The kind of a refusal; undefined for an unknown code. */
  kindOf: (code: string) => ProblemKind | undefined
  /** The body of a refusal, with the catalogue's sentence. */
  bodyOf: (code: ProblemCode) => Static<typeof Problem>
}

interface ProblemExtra {
  /** Takes the place of the catalogue's sentence. */
  detail?: string
  /** Sent with the refusal. */
  headers?: Record<string, string>
  /** For the log alone. */
  cause?: unknown
  /** For operators; never sent. */
  refusal?: object
}

/** The one shape of a refusal (RFC 9457). */
export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  code: Type.String(),
  error: Type.Optional(Type.String({ description: 'At /oauth/*: the code of RFC 6749, section 5.2' })),
  error_description: Type.Optional(Type.String({ description: 'At /oauth/*: the same as `detail`' })),
  errors: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() })))
}, { $id: 'Problem', description: 'A refusal (RFC 9457). `code` is stable, the texts are not.' })

/** The body of a refusal. */
export function problemBody (code: string, [status, standard]: ProblemKind, detail: string = standard): Static<typeof Problem> {
  return { type: 'about:blank', title: STATUS_CODES[status]!, status, detail, code } // every kind has a status that Node knows
}

const problemsPlugin: FastifyPluginAsync = async (fastify) => {
  const catalogue = new Map<string, ProblemKind>(Object.entries(CORE_PROBLEMS))

  function add (kinds: Partial<Record<ProblemCode, ProblemKind>>) {
    for (const [code, kind] of Object.entries(kinds)) catalogue.set(code, kind)
  }

  function codes (): ProblemCode[] {
    const sorted = [...catalogue].sort(([, [a]], [, [b]]) => a - b)
    return sorted.map(([code]) => code as ProblemCode) // only `add` and the core add codes
  }

  function problem (code: ProblemCode, { cause, ...extra }: ProblemExtra = {}): Error {
    const [, detail] = catalogue.get(code)!
    return Object.assign(new Error(code, { cause }), { code, detail, ...extra })
  }

  fastify.addSchema(Problem)
  fastify.decorate('problems', {
    add,
    codes,
    kindOf: (code) => catalogue.get(code),
    bodyOf: (code) => problemBody(code, catalogue.get(code)!) // every code is in the catalogue
  })
  fastify.decorate('problem', problem)
}

export default fp(problemsPlugin, { name: 'problems' })
