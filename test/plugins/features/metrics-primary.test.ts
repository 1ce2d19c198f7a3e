import Fastify from 'fastify'
import t from 'tap'
import configPlugin, { readConfig } from '../../../plugins/core/config/index.ts'
import metricsOfAll from '../../../plugins/features/metrics/primary.ts'
import { createLog } from '../../helper.ts'
import type { Test } from 'tap'

/** The first of several processes, which serves nothing but the metrics. */
async function startPrimary (t: Test, env: Record<string, string>) {
  const { lines, logger } = createLog()
  const primary = Fastify({ logger })
  t.teardown(() => primary.close())
  await primary.register(configPlugin, { config: readConfig(env) })
  await primary.register(metricsOfAll)
  const address = lines.map(({ msg }) => String(msg)).find((msg) => msg.startsWith('metrics: '))?.slice('metrics: '.length)
  return { primary, address }
}

t.test('The first of several processes', async (t) => {
  t.test('serves what the others count until it closes', async (t) => {
    const { primary, address } = await startPrimary(t, { METRICS_PORT: '0' })

    const { status, headers } = await fetch(address!)
    t.equal(status, 200)
    t.match(headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
    await primary.close()

    await t.rejects(fetch(address!))
  })

  t.test('opens no port unless METRICS_PORT is set', async (t) => {
    t.equal((await startPrimary(t, {})).address, undefined)
  })
})
