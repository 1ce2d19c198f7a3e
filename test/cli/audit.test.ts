import Client from 'better-sqlite3'
import t from 'tap'
import { PASSWORD, assertList, auditEvents, build, claimsOf, databaseUrl, signIn, signUp } from '../helper.ts'
import { cli } from '../processes.ts'
import type { Test } from 'tap'

const env = { DATABASE_URL: databaseUrl(t as Test), ISSUER: 'https://auth.example.com', TRUST_PROXY: '127.0.0.1' }
const server = await build(t, { env })

/** Runs a command on the database of the running service; gives the lines that it prints, or throws the error that it prints. */
async function linesOf (words: string, input = ''): Promise<string[]> {
  const { code, stdout, stderr } = await cli({ env, input }, words)
  if (code !== 0) throw Object.assign(new Error(stderr.trimEnd()), { code })
  return stdout.split('\n').slice(0, -1)
}

t.test('What the command line does is in the audit log', async (t) => {
  const before = (await auditEvents(server)).length
  await linesOf('users create --username ada --role editor', PASSWORD)
  const { id } = (await server.accounts.findByLogin('ada'))! // she was just made
  for (const words of ['users disable ada', 'users enable ada', 'sessions end ada', 'users delete ada', 'users delete-all --yes', 'clients create gateway', 'clients delete gateway']) await linesOf(words)
  const [kid = ''] = await linesOf('keys rotate')
  await linesOf(`keys revoke --kid ${kid}`)

  const its = { actorKind: 'cli', actorId: null, outcome: 'done', ip: null, requestId: null }
  assertList(t, (await auditEvents(server)).slice(before), [
    { ...its, event: 'account_created', subject: id, details: { roles: ['editor'] } },
    { ...its, event: 'account_changed', subject: id, details: { fields: ['disabled'], disabled: true, endsSessions: true } },
    { ...its, event: 'account_changed', subject: id, details: { fields: ['disabled'], disabled: false, endsSessions: true } },
    { ...its, event: 'logged_out', subject: id, details: { sessions: 0 } },
    { ...its, event: 'account_deleted', subject: id },
    { ...its, event: 'all_accounts_deleted', subject: null, details: { accounts: 0 } },
    { ...its, event: 'client_created', target: 'gateway' },
    { ...its, event: 'client_deleted', target: 'gateway' },
    { ...its, event: 'key_added', target: kid },
    { ...its, event: 'key_revoked', target: kid }
  ])
})

t.test('audit', async (t) => {
  const ada = await signUp(server, { username: 'grace', email: 'grace@example.com' })
  for (let i = 0; i < 3; i++) await signIn(server, 'grace')
  const id = ada.user.id

  t.test('list prints events, the newest first', async (t) => {
    const [newest = '', ...others] = await linesOf('audit list --user grace@example.com')

    t.match(newest.split('\t'), [/^\d+$/, /^20\S+Z$/, 'signed_in', 'done', `user ${id}`, id, /^\S{22}$/, '-', '127.0.0.1', /^\S{36}$/, '-'])
    t.same(others.map((line) => line.split('\t')[2]), ['signed_in', 'signed_in', 'registered'])
  })

  t.test('list filters by account, kind and time, and stops at the limit', async (t) => {
    const count = async (args: string) => (await linesOf(`audit list ${args}`)).length

    t.equal(await count(`--user ${id} --event signed_in --since 1h`), 3)
    t.equal(await count('--event signed_in --limit 2'), 2)
    t.equal(await count(`--user ${id} --event signed_in --since 2100-01-01`), 0)
  })

  t.test('list shows what changed, and finds the events of a deleted account by its id', async (t) => {
    await linesOf('users create --username bea', PASSWORD)
    const { id } = (await server.accounts.findByLogin('bea'))! // she was just made
    await linesOf('users roles bea editor')
    await linesOf('users delete bea')

    const lines = await linesOf(`audit list --user ${id}`)

    t.match(lines.map((line) => line.split('\t').at(-1)), ['-', '{"fields":["roles"],"roles":["editor"],"endsSessions":true}', '{"roles":[]}'])
  })

  t.test('list prints more than a page', async (t) => {
    const event = { at: 0, event: 'refreshed', outcome: 'rotated', actorKind: 'user' as const }
    const entry = { toEvent: () => event, isStored: () => true, committed () {} }
    await Promise.all(Array.from({ length: 250 }, () => server.db.audit.add(entry)))

    t.equal((await linesOf('audit list --event refreshed --limit 1000')).length, 250)
  })

  t.test('list says which option is wrong', async (t) => {
    await t.rejects(linesOf('audit list --limit 0'), { message: 'The limit should be a number from 1, not "0".' })
    await t.rejects(linesOf('audit list --event bogus'), { message: /^There is no event "bogus"\. These are all: account_changed, .+, signed_in\.$/ })
    await t.rejects(linesOf('audit list --user nobody'), { message: 'There is no account "nobody", and the log has no event of a deleted one with this id.' })
    await t.rejects(linesOf('audit list --since once'), { message: 'The time should be a date or a duration such as 24h, not "once".' })
  })

  t.test('export prints every event as JSON, the oldest first', async (t) => {
    const events = (await linesOf('audit export')).map((line) => JSON.parse(line))

    t.same(events.map(({ sequence, hash }) => [sequence, hash]), (await auditEvents(server)).map(({ sequence, hash }) => [sequence, hash.toString('hex')]))
  })

  t.test('verify says that the log is unchanged, or names the first event that does not follow', async (t) => {
    const [summary, head = ''] = await linesOf('audit verify')
    const [, name = ''] = head.split(' ')
    t.match(summary, /^\d+ events, unchanged$/)
    t.match(await linesOf(`audit verify --head ${name}`), [summary, head])
    await t.rejects(linesOf('audit verify --head 9:00'), { message: /^Event 9:00 is not in the log\. / })

    const client = new Client(server.db.file)
    client.exec("drop trigger audit_events_stay; update audit_events set actor_id = 'somebody else' where sequence = 3")
    client.close()

    await t.rejects(linesOf('audit verify'), { code: 1, message: /^Event 3 does not follow from the one before it\. / })
  })
})

t.test('why', async (t) => {
  const ada = await signUp(server)
  const logout = () => ada.inject({ method: 'POST', url: '/auth/logout', headers: { 'x-request-id': 'request-7' } })

  t.test('explains a token from standard input, or from its argument', async (t) => {
    t.same(await linesOf('why -', `Bearer ${ada.access_token}\n`), ['good\tThe token is good.'])
    t.same(await linesOf('why --role admin', ada.access_token), ['missing_role\tThe token is good, but lacks the role admin.'])
    await logout()

    const [explanation, cause] = await linesOf(`why ${ada.refresh_token}`)

    t.match(explanation, new RegExp(`^session_over\tThe session of the token is over: logged_out, by user ${ada.user.id}, at `))
    t.match(cause, `\tlogged_out\tdone\tuser ${ada.user.id}\t${ada.user.id}\t${claimsOf(ada.access_token).sid}`)
  })

  t.test('shows what a request did', async (t) => {
    const lines = await linesOf('why request-7')

    t.equal(lines.length, 1)
    t.match(lines[0], /\tlogged_out\t.*\trequest-7\t-$/)
    await t.rejects(linesOf('why request-8'), { message: /^The audit log has no event of request "request-8": / })
  })
})
