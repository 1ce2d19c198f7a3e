import { existsSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { chromium } from 'playwright-core'
import t from 'tap'
import { build } from './helper.ts'
import type { Browser, Page } from 'playwright-core'
import type { Test } from 'tap'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--js-flags=--no-opt'] // nothing runs for so long that optimising it pays
const PATH_BEHIND_GATEWAY = '/some/path'

/** Where to keep a picture of the page for the README: POSTERN_PICTURE=docs/swagger-ui.png */
const { POSTERN_PICTURE: PICTURE } = process.env

t.test('Swagger UI', { skip: CHROMIUM ? false : 'there is no Chromium on this machine' }, async (t) => {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS })
  t.teardown(() => browser.close())

  t.test('registers, authorizes, reads the secret, logs out and is refused, behind a gateway that serves it under a path', async (t) => {
    const address = await listenAsGateway(t, await listen(t), PICTURE ? 3000 : 0)
    const { page, complaints } = await openPage(t, browser, `${address}${PATH_BEHIND_GATEWAY}/docs`)

    await registerAndAuthorize(t, page)
    const opened = await execute(page, 'secret-getSecret')
    if (PICTURE) await takePicture(page, PICTURE)
    const loggedOut = await execute(page, 'auth-logout')
    t.same(complaints, [])
    const refused = await execute(page, 'secret-getSecret')

    t.equal(opened.status, '200')
    t.same(JSON.parse(opened.body), { answer: 42 })
    t.equal(loggedOut.status, '204')
    t.equal(refused.status, '401')
    t.equal(JSON.parse(refused.body).code, 'token_revoked')
    t.match(complaints, [/status of 401/])
    t.equal(complaints.length, 1)
  })

  t.test('fits a telephone, under the name of the service', async (t) => {
    const { page } = await openPage(t, browser, `${await listen(t)}/docs`)
    await page.setViewportSize({ width: 390, height: 800 })
    await page.locator('#operations-auth-register').waitFor()

    t.equal(await page.title(), 'Postern')
    t.ok(await page.evaluate('document.documentElement.scrollWidth') as number <= 390)
  })
})

async function listen (t: Test): Promise<string> {
  const server = await build(t)
  return server.listen({ host: '127.0.0.1', port: 0 })
}

/** Passes on what comes under its one path, without the path, and knows nothing else. */
async function listenAsGateway (t: Test, service: string, port: number): Promise<string> {
  const gateway = createServer((incoming, outgoing) => {
    const { method, headers, url = '' } = incoming
    if (!url.startsWith(`${PATH_BEHIND_GATEWAY}/`)) return outgoing.writeHead(404).end()
    const onward = request(service + url.slice(PATH_BEHIND_GATEWAY.length), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers) // every answer has one
      answer.pipe(outgoing)
    })
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => gateway.listen(port, '127.0.0.1', resolve))
  t.teardown(() => gateway.close())
  const address = gateway.address()
  return `http://127.0.0.1:${typeof address === 'object' && address?.port}`
}

/** Opens a page as a new visitor; `complaints` are the errors and warnings of its console. */
async function openPage (t: Test, browser: Browser, url: string) {
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 } })
  t.teardown(() => page.close())
  const complaints: string[] = []
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()) })
  page.on('pageerror', (error) => { complaints.push(error.message) })
  await page.goto(url)
  return { page, complaints }
}

/** With the example that the page offers. */
async function registerAndAuthorize (t: Test, page: Page) {
  const registered = await execute(page, 'auth-register')
  t.equal(registered.status, '201')

  await page.locator('.scheme-container button.authorize').click()
  await page.locator('.auth-container input').last().waitFor()
  await page.keyboard.insertText(JSON.parse(registered.body).access_token) // where the cursor is
  await page.locator('.auth-container button.authorize').last().click()
  await page.locator('.auth-container button.btn-done').first().click()
}

/** Opens an operation, sends it as it stands there, and reads the answer. */
async function execute (page: Page, operation: string) {
  const block = page.locator(`#operations-${operation}`)
  const answer = block.locator('.live-responses-table')
  if (await answer.isVisible()) await block.locator('.btn-clear').click()
  else await block.locator('.opblock-summary-control').click()
  await block.locator('button.execute').click()

  const status = await answer.locator('tbody .response-col_status').innerText()
  const body = answer.locator('.highlight-code code').first()
  return { status, body: await body.isVisible() ? await body.innerText() : '' }
}

async function takePicture (page: Page, path: string) {
  await page.locator('#operations-tag-secret').evaluate((section) => section.scrollIntoView())
  await page.screenshot({ path, animations: 'disabled' })
}
