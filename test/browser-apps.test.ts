import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import t from 'tap'
import { PASSWORD, build, createClock } from './helper.ts'
import { ROOT } from './processes.ts'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import type { Test } from 'tap'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']
const QUARTER_SECONDS = 15 * 60

const [, CODE = ''] = /```js\n([^]*?)```/.exec(readFileSync(join(ROOT, 'docs/browser-apps.md'), 'utf8')) ?? []

t.test('The code of docs/browser-apps.md', { skip: CHROMIUM ? false : 'there is no Chromium on this machine' }, async (t) => {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS })
  t.teardown(() => browser.close())

  /** Two tabs of one browser, signed in from a page of another origin than Postern's. */
  async function openTabs (t: Test) {
    let script = ''
    const pages = createServer(({ url }, response) => {
      response.setHeader('content-type', url === '/auth.js' ? 'text/javascript' : 'text/html').end(url === '/auth.js' ? script : '<!doctype html>')
    })
    await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve))
    t.teardown(() => pages.close())
    const origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}` // it listens on a port
    const clock = createClock(Date.now())
    const server = await build(t, { env: { CORS_ORIGIN: origin }, now: clock.now })
    const refreshes: number[] = []
    server.audit.subscribe(({ event }) => { if (event === 'refreshed') refreshes.push(clock.now()) })
    const address = await server.listen({ host: '127.0.0.1', port: 0 })
    script = CODE.replace('https://auth.example.com', address)
    await server.inject({ method: 'POST', url: '/auth/register', payload: { username: 'ada', password: PASSWORD } })

    const context = await browser.newContext()
    t.teardown(() => context.close())
    const tabs = [await context.newPage(), await context.newPage()] as const
    for (const tab of tabs) await tab.goto(origin)
    await call(tabs[0], 'signIn', 'ada', PASSWORD)
    const read = (tab: Page) => call(tab, 'request', `${address}/secret`)
    return { server, clock, refreshes, tabs, read, tokens: () => tabs[0].evaluate('JSON.parse(localStorage.getItem("postern"))') as Promise<{ refresh_token: string } | null> }
  }

  t.test('refreshes once for all tabs, when the access token has expired', async (t) => {
    const { clock, refreshes, tabs, read } = await openTabs(t)
    clock.advance(QUARTER_SECONDS + 1)

    t.same(await Promise.all([...tabs, ...tabs].map(read)), [200, 200, 200, 200])
    t.equal(refreshes.length, 1)
  })

  t.test('signs all tabs out, also when the access token has expired', async (t) => {
    const { server, clock, tabs, read, tokens } = await openTabs(t)
    const { refresh_token: refreshToken } = await tokens() ?? {}
    clock.advance(QUARTER_SECONDS + 1)

    await call(tabs[1], 'signOut')

    t.equal(await tokens(), null)
    t.equal((await server.inject({ method: 'POST', url: '/auth/refresh', payload: { refresh_token: refreshToken } })).statusCode, 401)
    await t.rejects(read(tabs[0]), /Sign in first/)
  })

  t.test('forgets the tokens of a session that is over', async (t) => {
    const { server, tabs, read, tokens } = await openTabs(t)
    await server.inject({ method: 'POST', url: '/auth/logout', payload: { refresh_token: (await tokens())?.refresh_token } })

    await t.rejects(read(tabs[0]), /revoked/)

    t.equal(await tokens(), null)
  })
})

/** Calls a function of the code in a tab; gives the status where that is a response. */
async function call (tab: Page, name: string, ...args: string[]): Promise<unknown> {
  return tab.evaluate(`import('/auth.js').then((module) => module.${name}(...${JSON.stringify(args)})).then((result) => result?.status)`)
}
