import t from 'tap'
import { assertRefused, build } from '../../helper.ts'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface ProblemCodes { mail_unavailable: true }
}

t.test('problems.add', async (t) => {
  const routes: FastifyPluginAsync = async (fastify) => {
    const { problem, problems } = fastify
    problems.add({ mail_unavailable: [503, 'No mail can be sent. Try again in a moment.'] })
    fastify.get('/mail', { schema: { summary: 'Send a mail' }, config: { refusals: ['mail_unavailable'] } }, async () => { throw problem('mail_unavailable') })
  }
  const server = await build(t, { routes })

  t.test('adds a refusal that answers as the others do', async (t) => {
    const response = await server.inject({ url: '/mail' })

    assertRefused(t, response, 503, 'mail_unavailable')
    t.equal(response.json().detail, 'No mail can be sent. Try again in a moment.')
    t.equal(response.headers['retry-after'], '1')
  })

  t.test('adds it to the OpenAPI document', async (t) => {
    const { paths } = (await server.inject({ url: '/docs/json' })).json()

    t.match(paths['/mail'].get.responses[503].description, '`mail_unavailable`')
  })

  t.test('adds it to one server, and to no other', async (t) => {
    const other = await build(t)

    t.ok(server.problems.codes().includes('mail_unavailable'))
    t.notOk(other.problems.codes().includes('mail_unavailable'))
    t.equal(other.problems.kindOf('mail_unavailable'), undefined)
  })
})

t.test('Every refusal', async (t) => {
  t.test('has a client error or a server error as its status, and sentences that end', async (t) => {
    const { problems } = await build(t)

    for (const code of problems.codes()) {
      const { status, detail } = problems.bodyOf(code)
      t.ok(status >= 400 && status < 600, code)
      t.match(detail, /^[A-Z].+\.$/, code)
    }
  })
})
