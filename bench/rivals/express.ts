// express and jsonwebtoken, set up as in their documentation, with a list of revoked tokens.
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import express from 'express'
import jsonwebtoken from 'jsonwebtoken'
import { AUDIENCE, ISSUER, TOKENS, blocklist, claims, listen } from './shared.ts'
import type { NextFunction, Request, Response } from 'express'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const revoked = blocklist()
const app = express()

function authenticate ({ headers: { authorization = '' } }: Request, response: Response, next: NextFunction) {
  try {
    const { jti = '' } = jsonwebtoken.verify(authorization.slice('Bearer '.length), publicKey, { algorithms: ['ES256'], issuer: ISSUER, audience: AUDIENCE }) as jsonwebtoken.JwtPayload // a token of claims
    if (revoked.has(jti)) throw new Error('revoked')
    next()
  } catch {
    response.status(401).json({ error: 'invalid_token' })
  }
}

app.get('/secret', authenticate, (_request, response) => { response.json({ answer: 42 }) })
app.get('/tokens', (_request, response) => {
  response.json(Array.from({ length: TOKENS }, (_, i) => jsonwebtoken.sign(claims(i), privateKey, { algorithm: 'ES256' })))
})

listen(createServer(app))
