import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import Fastify from 'fastify'
import t from 'tap'
import { options, plugins } from '../../app.ts'
import { readConfig } from '../../plugins/core/config/index.ts'
import { TEST_ENVIRONMENT, build } from '../helper.ts'
import { ROOT } from '../processes.ts'
import { OPERATIONS, ROUTE_TABLE } from '../route-table.ts'
import type { RouteOptions } from 'fastify'
import type { Test } from 'tap'

const FOLDER = join(ROOT, 'routes')

const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts') && !file.endsWith('schemas.ts'))

/** The operations that each file of the table mounts when it is loaded alone; hidden ones and the HEAD of a GET are left out. */
async function mountEach (t: Test): Promise<Record<string, string[]>> {
  const config = readConfig({ ...TEST_ENVIRONMENT, DOCS: 'off' })
  const server = Fastify(options())
  t.teardown(() => server.close())
  await server.register(plugins, { config })
  const found: Record<string, string[]> = {}
  for (const file of Object.keys(ROUTE_TABLE)) {
    const operations: string[] = found[file] = []
    function collect ({ method, schema, url }: RouteOptions) {
      if (method !== 'HEAD' && !schema?.hide) operations.push(`${method} ${url}`)
    }
    await server.register(async (scope) => {
      scope.addHook('onRoute', collect)
      await scope.register(autoload, { dir: FOLDER, matchFilter: (path) => path === `/${file}` })
    })
  }
  return found
}

t.test('The route table', async (t) => {
  t.test('names the operations that each file mounts, and no other', async (t) => {
    t.same(await mountEach(t), ROUTE_TABLE)
  })

  t.test('names operations that the service answers', async (t) => {
    const server = await build(t)

    for (const operation of OPERATIONS) {
      const [method = '', url = ''] = operation.split(' ')
      t.ok(server.hasRoute({ method, url }), operation)
    }
  })

  t.test('names operations that are in the OpenAPI document', async (t) => {
    const { paths } = (await build(t)).swagger() as { paths: Record<string, object> }
    const documented = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`))

    for (const operation of OPERATIONS) t.ok(documented.includes(operation), operation)
  })
})

t.test('A file under routes/', async (t) => {
  t.test('exports a plugin by default, or its routes would vanish silently', async (t) => {
    t.ok(files.length >= Object.keys(ROUTE_TABLE).length)
    for (const file of files) {
      const { default: plugin } = await import(join(FOLDER, file)) as { default?: unknown }
      t.type(plugin, 'function', file)
    }
  })
})
