import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance { metadata: Metadata }
}

/** Authorization server metadata (RFC 8414, section 2). A feature that mounts an endpoint adds it. */
export interface MetadataDocument {
  issuer: string
  jwks_uri: string
  response_types_supported: string[]
  grant_types_supported: string[]
  service_documentation?: string
  [member: string]: string | string[] | undefined
}

export interface Metadata {
  add: (members: Partial<MetadataDocument>) => void
  document: () => MetadataDocument
  /** The path of an address in the document, under whatever path ISSUER has; undefined for a member that is not there. */
  pathOf: (member: string) => string | undefined
}

const metadata: FastifyPluginAsync = async (fastify) => {
  const { config: { issuer } } = fastify

  // People sign in at /auth/login, which is no OAuth grant: no grant and no response type is claimed.
  const document: MetadataDocument = {
    issuer,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    response_types_supported: [],
    grant_types_supported: []
  }

  fastify.decorate('metadata', {
    add: (members) => { Object.assign(document, members) },
    document: () => document,
    pathOf: (member) => document[member]?.slice(issuer.length) as string | undefined // of the members that are addresses
  })
}

export default fp(metadata, { name: 'metadata', dependencies: ['config'] })
