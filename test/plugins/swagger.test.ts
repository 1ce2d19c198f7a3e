import Fastify from 'fastify'
import t from 'tap'
import app, { options } from '../../app.ts'
import { readConfig } from '../../plugins/config.ts'
import { assertRefused, build, converse } from '../helper.ts'
import type { FastifyPluginAsync } from 'fastify'

/** All that answers without a token. Whoever adds to it, do so on purpose. */
const OPEN = [
  'GET /',
  'GET /.well-known/jwks.json',
  'GET /.well-known/oauth-authorization-server',
  'GET /.well-known/openid-configuration',
  'GET /health/live',
  'GET /health/ready',
  'GET /status',
  'GET /status/:list',
  'POST /auth/login',
  'POST /auth/register'
]

/** All that answers, beside HEAD as GET, /verify to any method, and 405. */
const ROUTES = [
  'DELETE /auth/me',
  'DELETE /auth/sessions/:id',
  'DELETE /users/:id',
  'GET /',
  'GET /.well-known/jwks.json',
  'GET /.well-known/oauth-authorization-server',
  'GET /.well-known/openid-configuration',
  'GET /audit',
  'GET /auth/me',
  'GET /auth/sessions',
  'GET /health/live',
  'GET /health/ready',
  'GET /revocations',
  'GET /secret',
  'GET /status',
  'GET /status/:list',
  'GET /users',
  'GET /users/:id',
  'GET /verify',
  'PATCH /auth/me',
  'PATCH /users/:id',
  'POST /auth/login',
  'POST /auth/logout',
  'POST /auth/logout/all',
  'POST /auth/password',
  'POST /auth/refresh',
  'POST /auth/register',
  'POST /oauth/introspect',
  'POST /oauth/revoke',
  'POST /tokens/explain',
  'POST /users/:id/logout'
]

interface Operation {
  summary: string
  tags: string[]
  security?: Array<Record<string, string[]>>
  parameters?: Array<{ name: string, in: string }>
  responses: Record<string, { description: string, headers?: object, content?: Record<string, object> }>
}

t.test('The service', async (t) => {
  t.test('has these routes and no others', async (t) => {
    const found: string[] = []
    const config = readConfig({ DATABASE_URL: 'file::memory:', DOCS: 'off' })
    const server = Fastify(options(config))
    server.addHook('onRoute', ({ method, url }) => { if (typeof method === 'string' && method !== 'HEAD') found.push(`${method} ${url}`) })
    t.teardown(() => server.close())

    await server.register(app, { config })

    t.same(found.sort(), ROUTES)
  })
})

t.test('The OpenAPI document', async (t) => {
  const routes: FastifyPluginAsync = async (fastify) => {
    const { authenticate, limits, requireRole } = fastify
    const handler = async () => 'here'
    fastify.get('/fork/bare', handler)
    fastify.get('/fork/mine', { schema: { summary: 'Behind two hooks' }, onRequest: [async () => {}, authenticate] }, handler)
    fastify.get('/fork/ours', { schema: { summary: 'Behind a role' }, onRequest: requireRole('editor'), preHandler: [limits.address] }, handler)
  }
  const server = await build(t, { routes })
  const document = (await server.inject({ url: '/docs/json' })).json()
  const operations = (Object.entries(document.paths) as Array<[string, Record<string, Operation>]>)
    .flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase() as 'GET', operation })))
    .map((it) => ({ ...it, name: `${it.method} ${it.path.replaceAll(/\{(\w+)\}/g, ':$1')}`, isOfFork: it.path.startsWith('/fork/') }))
  const operationOf = (path: string, method: string): Operation => document.paths[path][method]

  t.test('is OpenAPI 3.1, for whatever address the service has', async (t) => {
    t.equal(document.openapi, '3.1.0')
    t.same(document.servers.map(({ url }: { url: string }) => new URL(url, 'https://gateway.example.com/auth-service/docs/json').href), ['https://gateway.example.com/auth-service/'])
  })

  t.test('refers to nothing that it does not have', async (t) => {
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)

    for (const [reference, path = ''] of references) {
      t.ok(path.split('/').reduce((part, key) => part?.[key], document), reference)
    }
    t.notMatch(JSON.stringify(document), '"nullable"')
  })

  t.test('has every route', async (t) => {
    t.same(operations.filter(({ isOfFork }) => !isOfFork).map(({ name }) => name).sort(), ROUTES)
  })

  t.test('demands a token, or the secret of a client, exactly where the service does, which is everywhere but on the short list', async (t) => {
    const open = []

    for (const { path, method, operation, name } of operations) {
      const response = await server.inject({ method, url: path.replace('{id}', 'wK3l0aTqW4m1xJZr8bYcVg').replace('{list}', 'Zk3vR0aTqW4m') })

      t.equal(response.statusCode === 401, operation.security !== undefined, name)
      const isForClients = operation.security?.some(({ client }) => client) // the rest is for people
      if (response.statusCode === 401) t.equal(response.headers['www-authenticate'], isForClients ? 'Basic realm="postern", charset="UTF-8"' : 'Bearer', name)
      else open.push(name)
    }

    t.same(open.sort(), [...OPEN, 'GET /fork/bare'].sort())
  })

  t.test('says of every operation what it is for, what it takes and what it refuses', async (t) => {
    const tags = document.tags.map(({ name }: { name: string }) => name)

    for (const { path, operation, name } of operations.filter(({ isOfFork }) => !isOfFork)) {
      const { summary, parameters = [], responses } = operation
      t.ok(summary, name)
      t.ok(operation.tags.length === 1 && tags.includes(operation.tags[0]), name)
      t.same(parameters.filter(({ in: where }) => where === 'path').map(({ name }) => `{${name}}`), path.match(/\{\w+\}/g) ?? [], name)
      t.ok(Object.keys(responses).some((status) => status.startsWith('2')), name)
      for (const [status, { description, content }] of Object.entries(responses)) {
        t.ok(description, `${name} ${status}`)
        if (Number(status) >= 400) t.same(Object.keys(content ?? {}), ['application/problem+json'], `${name} ${status}`)
      }
    }
  })

  t.test('knows the answers of a hook wherever a route has it', async (t) => {
    const mine = operationOf('/fork/mine', 'get')
    const ours = operationOf('/fork/ours', 'get')

    t.same(mine.security, [{ accessToken: [] }])
    t.match(mine.responses[401]?.description, '`token_revoked`')
    t.equal(mine.responses[403], undefined)
    t.match(ours.responses[403]?.description, '`forbidden`')
    t.match(ours.responses[429], { description: '`rate_limited`', headers: { 'Retry-After': {} } })
  })

  t.test('says which kind of token each of the two that take another wants', async (t) => {
    t.same(operationOf('/auth/refresh', 'post').security, [{ refreshToken: [] }])
    t.same(operationOf('/auth/logout', 'post').security, [{ accessToken: [] }, { refreshToken: [] }])
  })
})

t.test('The docs', async (t) => {
  const server = await build(t)
  await server.listen({ host: '127.0.0.1', port: 0 })

  t.test('are given to a hundred at a time, and one more is told when to come back', async (t) => {
    const ask = () => server.inject({ url: '/docs/static/favicon-32x32.png' })
    const answers = await Promise.all(Array.from({ length: 101 }, ask))

    t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 100)
    assertRefused(t, answers.find(({ statusCode }) => statusCode !== 200)!, 503, 'overloaded')
    t.equal((await ask()).statusCode, 200)
  })

  t.test('are given to nobody who has not read the answer before', async (t) => {
    const request = (connection: string) => `GET /docs/json HTTP/1.1\r\nHost: localhost\r\nConnection: ${connection}\r\n\r\n`
    const answers = await converse(server, `${request('keep-alive')}${request('close')}`.trimEnd())

    t.same([...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status), ['200', '503'])
  })
})

t.test('DOCS=off', async (t) => {
  t.test('leaves neither the document nor Swagger UI', async (t) => {
    const server = await build(t, { env: { DOCS: 'off' } })

    for (const url of ['/docs', '/docs/', '/docs/json', '/docs/yaml', '/docs/static/swagger-ui.css']) {
      const response = await server.inject({ url })
      t.equal(response.statusCode, 404, url)
      t.equal(response.json().code, 'not_found', url)
    }
  })
})
