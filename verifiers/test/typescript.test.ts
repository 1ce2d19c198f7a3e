import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createVerifier } from '../typescript/postern.ts'
import { testVerifier } from './conformance.ts'

const SERVICE = fileURLToPath(new URL('service.ts', import.meta.url))

t.test('createVerifier', async (t) => {
  t.test('throws when the feed has no credentials', async (t) => {
    t.throws(() => createVerifier({ issuer: 'http://localhost', audience: 'postern', follow: 'feed' }), { message: 'The feed needs clientId and clientSecret.' })
  })
})

t.test('postern.ts for Fastify', (t) => testVerifier(t, [process.execPath, SERVICE, 'fastify']))
t.test('postern.ts for Express', (t) => testVerifier(t, [process.execPath, SERVICE, 'express'], { isSecond: true }))
