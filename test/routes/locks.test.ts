import Fastify from 'fastify'
import t from 'tap'
import app, { options } from '../../app.ts'
import { readConfig } from '../../plugins/core/config/index.ts'
import { TEST_ENVIRONMENT } from '../helper.ts'
import { OPERATIONS } from '../route-table.ts'
import type { FastifyPluginAsync, RouteOptions } from 'fastify'
import type { Test } from 'tap'

/** The project's routes that answer without a token. Add to it on purpose only. */
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

/** A server, and what is mounted on it: by the project, by a fork's files in routes/, and by `more`. */
async function mount (t: Test, more: FastifyPluginAsync = async () => {}) {
  const config = readConfig({ ...TEST_ENVIRONMENT, DOCS: 'off' })
  const server = Fastify(options())
  t.teardown(() => server.close())
  const routes: RouteOptions[] = []
  server.addHook('onRoute', (route) => { if (!isHeadOf(route, routes)) routes.push(route) })
  await server.register(app, { config })
  await server.register(more)
  await server.ready()
  return { server, routes }
}

/** True for the HEAD route that Fastify adds to a GET route. */
function isHeadOf ({ method, url }: RouteOptions, routes: RouteOptions[]): boolean {
  return method === 'HEAD' && routes.some((route) => route.url === url && [route.method].flat().includes('GET'))
}

/** The routes that let anybody in and do not say why: they declare no lock, or answer without a token. */
async function unlockedOf (t: Test, more?: FastifyPluginAsync): Promise<string[]> {
  const { server, routes } = await mount(t, more)
  const unlocked = []
  for (const { method, url, config, schema } of routes) {
    if (config?.open) continue
    if (!schema?.security?.length) {
      unlocked.push(`${method} ${url}`)
      continue
    }
    const { statusCode } = await server.inject({ method: [method].flat()[0] as 'GET', url: url.replaceAll(/:\w+/g, 'wK3l0aTqW4m1xJZr8bYcVg') }) // one of them
    if (statusCode !== 401) unlocked.push(`${method} ${url}`)
  }
  return unlocked
}

t.test('Every route', async (t) => {
  t.test('demands a token, or says why anybody may ask', async (t) => {
    t.same(await unlockedOf(t), [])
  })

  t.test('of a fork, too', async (t) => {
    const unlocked = await unlockedOf(t, async (fastify) => {
      const handler = async () => 'here'
      fastify.get('/fork/bare', handler)
      fastify.route({ method: ['GET', 'HEAD'], url: '/fork/both', handler })
      fastify.head('/fork/head', handler)
      fastify.get('/fork/silent', { config: { open: '' } }, handler)
      fastify.get('/fork/painted', { schema: { security: [{ accessToken: [] }] } }, handler)
      fastify.get('/fork/open', { config: { open: 'it is a test' } }, handler)
      fastify.get('/fork/mine', { onRequest: fastify.authenticate }, handler)
      fastify.get('/fork/ours/:id', { onRequest: [async () => {}, fastify.requireRole('editor')] }, handler)
    })

    t.same(unlocked, ['GET /fork/bare', 'GET,HEAD /fork/both', 'HEAD /fork/head', 'GET /fork/silent', 'GET /fork/painted'])
  })

  t.test('of the project that is open is on the short list', async (t) => {
    const { routes } = await mount(t)
    const open = routes.filter(({ config }) => config?.open !== undefined).map(({ method, url }) => `${method} ${url}`)

    t.same(open.filter((operation) => OPERATIONS.includes(operation)).sort(), OPEN)
  })
})
