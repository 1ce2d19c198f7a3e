import jwt from '@fastify/jwt'
import fp from 'fastify-plugin'
import { ACCESS_TOKEN_TYPE } from './claims.ts'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { AccessTokenClaims } from './claims.ts'

declare module '@fastify/jwt' {
  interface FastifyJWT { payload: AccessTokenClaims, user: AccessTokenClaims }
}

/** A token as `decode: { complete: true }` gives it. */
type CompleteToken = Extract<jwt.TokenOrHeader, { header: unknown }>

/** `request.jwtVerify` for forks that know @fastify/jwt. After its own check it ends in `accessTokens.verify`, as everything does. */
const jwtPlugin: FastifyPluginAsync = async (fastify) => {
  const { accessTokens, config: { audience, issuer }, problem, signingKeys } = fastify

  function publicKeyOf ({ header }: CompleteToken): string {
    const key = signingKeys.all().find(({ kid }) => kid === header.kid)
    if (!key) throw problem('invalid_token')
    return key.publicKey
  }

  await fastify.register(jwt, {
    secret: { public: async (_request: FastifyRequest, token: jwt.TokenOrHeader) => publicKeyOf(token as CompleteToken) },
    decode: { complete: true },
    verify: { checkTyp: ACCESS_TOKEN_TYPE, allowedIss: issuer, allowedAud: audience, ignoreExpiration: true, ignoreNotBefore: true },
    trusted: async (request) => Boolean(await accessTokens.verify(fastify.jwt.lookupToken(request)))
  })
}

export default fp(jwtPlugin, { name: 'jwt', dependencies: ['access-tokens', 'config', 'problems', 'signing-keys'] })
