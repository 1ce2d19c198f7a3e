import type { FastifyInstance } from 'fastify'
import type { FastifySwaggerUiOptions } from '@fastify/swagger-ui'

/** Content Security Policy for Swagger UI: nothing from elsewhere. */
const UI_POLICY = [
  "default-src 'none'", "script-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data:", "connect-src 'self'",
  "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"
].join('; ')

const GATE = '<path fill="#7aa2d6" d="M4 30V14a12 12 0 0 1 24 0v16h-7V15a5 5 0 0 0-10 0v15z"/>'
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${GATE}</svg>`
const LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 32" width="200" height="40">' + GATE +
  '<text x="40" y="23" font-family="sans-serif" font-size="22" fill="#fff">Postern</text></svg>'

const VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'

/** Swagger UI's page, with our name on it. */
export const page: FastifySwaggerUiOptions = {
  routePrefix: '/docs',
  indexPrefix: '.', // relative, as all that the page asks for
  staticCSP: UI_POLICY,
  logo: { type: 'image/svg+xml', content: LOGO },
  theme: { title: 'Postern', favicon: [{ filename: 'icon.svg', rel: 'icon', type: 'image/svg+xml', sizes: 'any', content: ICON }] },
  uiConfig: { deepLinking: true, persistAuthorization: true, tryItOutEnabled: true }
}

/** Lets telephones draw the page at their own width. */
export function fitTelephones (docs: FastifyInstance) {
  docs.addHook('onSend', async (_request, reply, payload) => {
    const isPage = String(reply.getHeader('content-type')).startsWith('text/html')
    return isPage ? String(payload).replace('<head>', `<head>${VIEWPORT}`) : payload
  })
}
