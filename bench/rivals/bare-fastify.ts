// Fastify alone, as an upper bound.
import Fastify from 'fastify'

const server = Fastify()
const schema = { response: { 200: { type: 'object', properties: { status: { type: 'string' } } } } }
server.get('/health/live', { schema }, async () => ({ status: 'ok' }))
console.log(`ready: ${await server.listen({ host: '127.0.0.1', port: 0 })}`)
