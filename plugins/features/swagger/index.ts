import fp from 'fastify-plugin'
import manifest from '../../../package.json' with { type: 'json' }
import { documentRoute } from './document.ts'
import { finishDocument } from './finish.ts'
import { limitOpenAnswers } from './open-answers.ts'
import { fitTelephones, page } from './page.ts'
import { settings } from './settings.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { OpenApi } from './components.ts'

const DESCRIPTION = `To try it, register or sign in below, copy the \`access_token\` of the answer, press **Authorize** and paste it.
Then read the secret.

Every refusal is a problem (RFC 9457) whose \`code\` is stable. Wherever a body is JSON, a form
(\`application/x-www-form-urlencoded\`) is taken as well.`

/** Relative to the document, so that it holds under whatever path a gateway gives the service. */
const BESIDE = { url: '..', description: 'Where this document is' }

/** The OpenAPI document at /docs/json and Swagger UI at /docs, from the routes' schemas. Nothing is loaded with DOCS=off. */
const swaggerPlugin: FastifyPluginAsync<{ isServing?: boolean }> = async (fastify, { isServing = true }) => {
  const { config: { issuer, issuerIsChosen }, metadata, problems, routeDocumentation: { securitySchemes, tags } } = fastify
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
    transformObject: (document) => ({
      ...'openapiObject' in document && finishDocument(document.openapiObject as OpenApi, problems.codes()) as object,
      servers: issuerIsChosen ? [{ url: issuer }, BESIDE] : [BESIDE] // here, because a path in one given above is cut off the routes' own
    }),
    transform: ({ schema, url, route }) => ({ schema: documentRoute(schema ?? {}, route, problems), url })
  })
  await fastify.register(async (docs) => {
    limitOpenAnswers(docs)
    fitTelephones(docs)
    await docs.register(swaggerUi, page)
  })
}

export default fp(swaggerPlugin, { name: 'swagger', dependencies: ['config', 'metadata', 'problems', 'route-documentation'] })
