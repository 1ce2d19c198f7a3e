import fp from 'fastify-plugin'
import type { FastifyPluginAsync } from 'fastify'

/** Says once, and records for the doctor, that a gateway seems to stand before the service, while TRUST_PROXY names none. */
const untrustedGateway: FastifyPluginAsync = async (fastify) => {
  const { config: { trustProxy }, log, serviceState } = fastify
  if (trustProxy.length > 0) return
  let isTold = false

  async function tell (ip: string) {
    log.warn({ event: 'untrusted_gateway', ip }, 'X-Forwarded-For is ignored: if this address is your gateway, name it in TRUST_PROXY')
    await serviceState.recordUntrustedGateway(ip)
  }

  fastify.addHook('onRequest', (request, _reply, done) => {
    if (!isTold && request.headers['x-forwarded-for'] !== undefined) {
      isTold = true
      tell(request.ip).catch((err) => log.error({ err }, 'the address of a gateway was not recorded'))
    }
    done()
  })
}

export default fp(untrustedGateway, { name: 'untrusted-gateway' })
