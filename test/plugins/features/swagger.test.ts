import t from 'tap'
import { assertRefused, build, converse } from '../../helper.ts'
import { OPERATIONS } from '../../route-table.ts'
import type { FastifyPluginAsync } from 'fastify'

interface Operation {
  operationId?: string
  summary: string
  requestBody?: { required: boolean, content: Record<string, { schema: object }> }
  tags: string[]
  security?: Array<Record<string, string[]>>
  parameters?: Array<{ name: string, in: string }>
  responses: Record<string, { description: string, headers?: object, content?: Record<string, object> }>
}

t.test('The OpenAPI document', async (t) => {
  const routes: FastifyPluginAsync = async (fastify) => {
    const { authenticate, requireRole } = fastify
    const handler = async () => 'here'
    fastify.get('/fork/bare', handler)
    const User = { title: 'User', type: 'object', properties: { spout: { type: 'string' } } }
    fastify.get('/fork/mine', { schema: { summary: 'Behind two hooks', response: { 200: { type: 'array', description: 'Teapots', items: User } } }, onRequest: [async () => {}, authenticate] }, handler)
    fastify.get('/fork/ours', { schema: { summary: 'Behind a role' }, onRequest: requireRole('editor'), config: { limitByAddress: true } }, handler)
  }
  const server = await build(t, { env: { RATE_LIMIT: 'on' }, routes })
  const document = (await server.inject({ url: '/docs/json' })).json()
  const operations = (Object.entries(document.paths) as Array<[string, Record<string, Operation>]>)
    .flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase() as 'GET', operation })))
    .map((it) => ({ ...it, name: `${it.method} ${it.path.replaceAll(/\{(\w+)\}/g, ':$1')}` }))
    .map((it) => ({ ...it, isOurs: OPERATIONS.includes(it.name) }))
  const operationOf = (path: string, method: string): Operation => document.paths[path][method]

  t.test('is OpenAPI 3.1, for whatever address the service has', async (t) => {
    t.equal(document.openapi, '3.1.0')
    t.same(document.servers.map(({ url }: { url: string }) => new URL(url, 'https://gateway.example.com/auth-service/docs/json').href), ['https://gateway.example.com/auth-service/'])
  })

  t.test('has every schema that it refers to', async (t) => {
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)

    for (const [reference, path = ''] of references) {
      t.ok(path.split('/').reduce((part, key) => part?.[key], document), reference)
    }
    t.notMatch(JSON.stringify(document), '"nullable"')
  })

  t.test('has every route', async (t) => {
    t.same(operations.filter(({ isOurs }) => isOurs).map(({ name }) => name).sort(), OPERATIONS.toSorted())
  })

  t.test('demands a token, or the secret of a client, exactly where the service does', async (t) => {
    for (const { path, method, operation, name } of operations) {
      const response = await server.inject({ method, url: path.replace('{id}', 'wK3l0aTqW4m1xJZr8bYcVg').replace('{list}', 'Zk3vR0aTqW4m') })

      t.equal(response.statusCode === 401, Boolean(operation.security?.length), name)
      const isForClients = operation.security?.some(({ client }) => client) // the rest is for people
      if (response.statusCode === 401) t.equal(response.headers['www-authenticate'], isForClients ? 'Basic realm="postern", charset="UTF-8"' : 'Bearer', name)
    }
  })

  t.test('says of every operation its purpose, its parameters and its refusals', async (t) => {
    const tags = document.tags.map(({ name }: { name: string }) => name)

    for (const { path, operation, name } of operations.filter(({ isOurs }) => isOurs)) {
      const { operationId, security, summary, parameters = [], responses } = operation
      t.match(operationId, /^[a-z][A-Za-z]+$/, name)
      t.ok(summary && !summary.includes('`'), name)
      t.ok(security, name)
      t.ok(operation.tags.length === 1 && tags.includes(operation.tags[0]), name)
      t.same(parameters.filter(({ in: where }) => where === 'path').map(({ name }) => `{${name}}`), path.match(/\{\w+\}/g) ?? [], name)
      t.ok(Object.keys(responses).some((status) => status.startsWith('2')), name)
      for (const [status, { description, content }] of Object.entries(responses)) {
        t.ok(description && description !== 'Default Response', `${name} ${status}`)
        if (Number(status) >= 400) t.same(Object.keys(content ?? {}), ['application/problem+json'], `${name} ${status}`)
      }
    }
  })

  t.test('has a name of its own for every operation of the project, and shows those first that come first', async (t) => {
    const ids = operations.filter(({ isOurs }) => isOurs).map(({ operation: { operationId } }) => operationId)

    t.equal(new Set(ids).size, OPERATIONS.length)
    t.same(ids.slice(0, 5), ['register', 'login', 'getSecret', 'refreshTokens', 'logout'])
    t.same(ids.filter((id) => ['changeMyPassword', 'listUsers', 'introspectToken', 'verifyRequest', 'getStatusList'].includes(String(id))).length, 5)
  })

  t.test('names its bodies and answers, and the codes of all refusals', async (t) => {
    const { schemas } = document.components
    const bodyOf = (path: string, method: string) => operationOf(path, method).requestBody?.content['application/json']?.schema

    for (const name of ['User', 'Tokens', 'SignedIn', 'Session', 'AuditEvent', 'Registration', 'Credentials', 'Problem']) t.ok(schemas[name]?.description, name)
    t.same(schemas.SignedIn.properties.user, { $ref: '#/components/schemas/User' })
    t.same(bodyOf('/auth/register', 'post'), { $ref: '#/components/schemas/Registration' })
    t.ok(['token_expired', 'invalid_client', 'not_verified'].every((code) => schemas.Problem.properties.code.enum.includes(code)))
    t.ok(schemas.Problem.properties.title, 'a property called title is none')
  })

  t.test('describes bodies as JSON alone, and demands none where none is needed', async (t) => {
    for (const { name, operation: { requestBody } } of operations) {
      if (requestBody) t.same(Object.keys(requestBody.content), ['application/json'], name)
    }
    for (const path of ['/auth/refresh', '/auth/logout']) {
      t.match(operationOf(path, 'post').requestBody, { required: false, content: { 'application/json': { schema: { $ref: '#/components/schemas/RefreshTokenBody' } } } })
    }
    t.equal(operationOf('/auth/login', 'post').requestBody?.required, true)
  })

  t.test('leaves out what generators stumble over', async (t) => {
    t.notMatch(JSON.stringify(document), /"pattern":"[^"]*\\p\{/)
    t.notOk(document.components.schemas.Credentials.oneOf)
    t.same(operationOf('/auth/login', 'post').responses[429]?.headers, { 'Retry-After': { schema: { type: 'integer' }, description: 'Seconds to wait before the next try' } })
    t.same(Object.keys(operationOf('/verify', 'get').responses[200]?.headers ?? {}), ['X-Auth-Subject', 'X-Auth-Session', 'X-Auth-Roles', 'X-Auth-Token-Id'])
  })

  t.test('has examples that the service takes', async (t) => {
    for (const [path, method] of [['/auth/register', 'post'], ['/auth/login', 'post']] as const) {
      const { example } = operationOf(path, method).requestBody?.content['application/json'] as { example?: object }
      t.match((await server.inject({ method: 'POST', url: path, payload: example })).json(), { user: { username: 'newcomer', roles: [], disabled: false } }, path)
    }
  })

  t.test('takes routes of a fork that say nothing, or have a schema of the same name', async (t) => {
    t.match(operationOf('/fork/bare', 'get').responses[200], { description: 'OK' })
    t.match(operationOf('/fork/mine', 'get').responses[200], { description: 'Teapots', content: { 'application/json': { schema: { type: 'array', items: { type: 'object', properties: { spout: {} } } } } } })
    t.match(operationOf('/fork/ours', 'get').responses[200], { description: 'OK' })
  })

  t.test('has the refusals of a hook wherever a route has the hook', async (t) => {
    const mine = operationOf('/fork/mine', 'get')
    const ours = operationOf('/fork/ours', 'get')

    t.same(mine.security, [{ accessToken: [] }])
    t.match(mine.responses[401]?.description, '`token_revoked`')
    t.equal(mine.responses[403], undefined)
    t.match(ours.responses[403]?.description, '`forbidden`')
    t.match(ours.responses[429], { description: '`rate_limited`', headers: { 'Retry-After': {} } })
  })

  t.test('says which kinds of token refresh and logout take, and that the body may hold one', async (t) => {
    t.same(operationOf('/auth/refresh', 'post').security, [{ refreshToken: [] }, {}])
    t.same(operationOf('/auth/logout', 'post').security, [{ accessToken: [] }, { refreshToken: [] }, {}])
  })
})

t.test('The address in the document', async (t) => {
  t.test('is ISSUER where one is chosen, or else where the document is', async (t) => {
    const env = { ISSUER: 'https://id.example.com/auth' }
    const chosen = (await (await build(t, { env })).inject({ url: '/docs/json' })).json()

    t.same(chosen.servers.map(({ url }: { url: string }) => url), [env.ISSUER, '..'])
    t.ok(chosen.paths['/auth/login'], 'a path in ISSUER is cut off no other')
  })
})

t.test('The docs', async (t) => {
  const server = await build(t)
  await server.listen({ host: '127.0.0.1', port: 0 })

  t.test('have a page of their own name, for telephones too', async (t) => {
    const { body } = await server.inject({ url: '/docs/' })

    for (const part of ['<title>Postern</title>', 'content="width=device-width, initial-scale=1"', '/theme/icon.svg']) t.ok(body.includes(part), part)
  })

  t.test('are sent to a hundred clients at a time, and one more gets 503', async (t) => {
    const ask = () => server.inject({ url: '/docs/static/favicon-32x32.png' })
    const answers = await Promise.all(Array.from({ length: 101 }, ask))

    t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 100)
    assertRefused(t, answers.find(({ statusCode }) => statusCode !== 200)!, 503, 'overloaded')
    t.equal((await ask()).statusCode, 200)
  })

  t.test('are sent to no client that has not read the answer before', async (t) => {
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
