import fp from 'fastify-plugin'
import manifest from '../../../package.json' with { type: 'json' }
import { documentRoute } from './document.ts'
import { settings } from './settings.ts'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'

/** Content Security Policy for Swagger UI: nothing from elsewhere. */
const UI_POLICY = [
  "default-src 'none'", "script-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data:", "connect-src 'self'",
  "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"
].join('; ')

const DESCRIPTION = `To try it, register or sign in below, copy the \`access_token\` of the answer, press **Authorize** and paste it.
Then read the secret.

Every refusal is a problem (RFC 9457) whose \`code\` is stable.`

/** The most answers of the docs that are sent at the same time. */
const MOST_OPEN = 100

/** Relative to the document, so that it holds under whatever path a gateway gives the service. */
const SERVERS = [{ url: '..' }]

/** The OpenAPI document at /docs/json and Swagger UI at /docs, from the routes' schemas. Nothing is loaded with DOCS=off. */
const swaggerPlugin: FastifyPluginAsync<{ isServing?: boolean }> = async (fastify, { isServing = true }) => {
  const { config: { issuer }, metadata, problems, routeDocumentation: { securitySchemes, tags } } = fastify
  const { DOCS } = fastify.settings(settings)
  if (DOCS === 'off' || !isServing) return

  metadata.add({ service_documentation: `${issuer}/docs` })
  const [{ default: swagger }, { default: swaggerUi }] = await Promise.all([import('@fastify/swagger'), import('@fastify/swagger-ui')])
  await fastify.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Postern',
        version: manifest.version,
        description: DESCRIPTION,
        license: { name: manifest.license, identifier: manifest.license }
      },
      tags,
      components: { securitySchemes }
    },
    refResolver: { buildLocalReference: (json) => String(json.$id) },
    transformObject: (document) => ({ ...'openapiObject' in document && document.openapiObject, servers: SERVERS }),
    transform: ({ schema, url, route }) => ({ schema: schema && documentRoute(schema, route, problems), url })
  })
  await fastify.register(async (docs) => {
    limitOpenAnswers(docs)
    await docs.register(swaggerUi, {
      routePrefix: '/docs',
      indexPrefix: '.', // relative, as all that the page asks for
      staticCSP: UI_POLICY,
      uiConfig: { deepLinking: true, persistAuthorization: true, tryItOutEnabled: true }
    })
  })
}

/**
 * The docs are the largest answers that anybody can ask for, and some keep a file open until they are read. Clients that
 * do not read them could fill the memory and use up the open files, so only so many are sent at a time.
 */
function limitOpenAnswers (docs: FastifyInstance) {
  let open = 0
  docs.addHook('onRequest', (_request, { raw: response }, done) => {
    if (open >= MOST_OPEN || !response.socket) return done(docs.problem('overloaded')) // without a socket it waits for the answer before it
    open++
    response.once('close', () => { open-- })
    done()
  })
}

export default fp(swaggerPlugin, { name: 'swagger', dependencies: ['config', 'metadata', 'problems', 'route-documentation'] })
