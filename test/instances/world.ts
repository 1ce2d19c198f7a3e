import { basic, build } from '../helper.ts'
import { startCluster } from '../postgres/cluster.ts'
import { startPooler } from '../postgres/pooler.ts'
import { startProxy } from './proxy.ts'
import { MASTER_KEY, startInstance } from './service.ts'
import type { Scope } from '../postgres/programs.ts'
import type { Instance } from './service.ts'

export const ADMIN = { username: 'operator', password: 'nine orange lanterns' }

export type World = Awaited<ReturnType<typeof startWorld>>

interface WorldOptions {
  names: string[]
  env: Record<string, string>
  /** True for one PgBouncer in front of the database. */
  hasPooler?: boolean
}

export interface Tokens { access_token: string, refresh_token: string, user: { id: string } }

/** A database, instances which each reach it through a proxy of their own, an administrator, and a client for /oauth/revoke. */
export async function startWorld (t: Scope, { names, env, hasPooler = false }: WorldOptions) {
  const cluster = await startCluster(t)
  const databaseUrl = await cluster.createDatabase()
  const target = hasPooler ? await startPooler(t, cluster) : cluster
  const proxies = await Promise.all(names.map(() => startProxy(t, target)))
  const instances = await Promise.all(names.map((name, i) => {
    return startInstance(t, name, { databaseUrl: Object.assign(new URL(databaseUrl), { port: proxies[i]?.port }).href, env })
  }))
  const client = await prepareDatabase(databaseUrl)
  const admin = await signIn(instances[0]!, ADMIN) // there is one
  if (!admin) throw new Error('The administrator cannot sign in, though there is no fault yet.')

  return { cluster, databaseUrl, proxies, instances, client, admin }
}

/** Makes an administrator and a client, as the command line would, and gives the header of the client. */
export async function prepareDatabase (databaseUrl: string) {
  const service = await build({ teardown: () => {} }, { env: { DATABASE_URL: databaseUrl, MASTER_KEY } })
  await service.accounts.create(ADMIN, ['admin'])
  const secret = await service.apiClients.create('checker')
  await service.close()
  return basic('checker', secret!) // there was none of that name
}

/** The answer of an instance: undefined when it was killed, status 0 when it did not answer in time. */
export async function ask (instance: Instance, ...[method, path, options]: Parameters<Instance['request']>) {
  try {
    const response = await instance.request(method, path, options)
    const text = await response.text()
    return { status: response.status, code: codeIn(text), text }
  } catch (error) {
    const { name } = error as Error // fetch throws nothing else
    return name === 'TimeoutError' ? { status: 0, code: 'nothing', text: '' } : undefined
  }
}

export type Answer = Awaited<ReturnType<typeof ask>>

/** The code of a refusal. */
function codeIn (text: string): string | undefined {
  return /"code":"(\w+)"/.exec(text)?.[1]
}

/** Signs somebody in; undefined when there is no answer, or no good one. */
export async function signIn (instance: Instance, credentials: { username: string, password: string }): Promise<Tokens | undefined> {
  return tokensIn(await ask(instance, 'POST', '/auth/login', { body: credentials }))
}

export async function register (instance: Instance, credentials: { username: string, password: string }): Promise<Tokens | undefined> {
  return tokensIn(await ask(instance, 'POST', '/auth/register', { body: credentials }))
}

function tokensIn (answer: Answer): Tokens | undefined {
  return answer && answer.status >= 200 && answer.status < 300 ? JSON.parse(answer.text) : undefined
}
