import type { FastifyInstance } from 'fastify'

interface HttpRequest { title: string, name?: string, method: string, url: string, headers: Record<string, string>, payload: string }

/** A request of a .http file, what it is sent as, and its answer. */
interface Exchange { title: string, sent: string, status: number, wanted: number | undefined, answer: string }

/** Sends the requests of a .http file, from top to bottom, as its editors do; `given` takes the place of variables in it. */
export async function runHttpFile (server: FastifyInstance, text: string, given: Record<string, string>): Promise<Exchange[]> {
  const [head = '', ...rest] = text.split(/^### */m)
  const variables = new Map([...head.matchAll(/^@(\w+) = (.*)$/gm)].map(([, name = '', value = '']) => [name, given[name] ?? value]))
  const answers: Record<string, { response: { body: unknown } }> = {}

  function valueOf (expression: string): string {
    if (expression === '$timestamp') return String(Date.now())
    if (variables.has(expression)) return variables.get(expression)!
    const value = expression.split(/[.[\]]+/).reduce<unknown>((part, key) => key ? (part as Record<string, unknown> | undefined)?.[key] : part, answers)
    if (typeof value !== 'string') throw new Error(`{{${expression}}} is nothing`)
    return value
  }

  const exchanges: Exchange[] = []
  for (const request of rest.map(parse)) {
    const filled: HttpRequest = JSON.parse(JSON.stringify(request).replaceAll(/\{\{([^{}]+)\}\}/g, (_, expression) => valueOf(expression)))
    const { title, name, method, url, headers, payload } = filled
    const { pathname, search } = new URL(url)
    const response = await server.inject({ method: method as 'GET', url: pathname + search, headers: withBasic(headers), payload: payload || undefined })
    const isJson = String(response.headers['content-type']).includes('json')
    if (name) answers[name] = { response: { body: isJson ? response.json() : response.body } }
    exchanges.push({ title, sent: `${method} ${pathname}${search}`, status: response.statusCode, wanted: wantedStatus(title), answer: response.body })
  }
  return exchanges
}

function parse (block: string): HttpRequest {
  const [top = '', ...paragraphs] = block.trimEnd().split('\n\n')
  const [title = '', ...lines] = top.split('\n')
  const [, name] = /^# @name (\w+)$/m.exec(top) ?? []
  const [request = '', ...headers] = lines.filter((line) => !line.startsWith('#'))
  const [method = '', url = ''] = request.split(' ')
  return { title, name, method, url, headers: Object.fromEntries(headers.map((line) => line.split(/: (.*)/s).slice(0, 2))), payload: paragraphs.join('\n\n') }
}

/** Editors encode `Basic id secret`. */
function withBasic ({ Authorization: authorization, ...headers }: Record<string, string>) {
  const [scheme, id, secret] = authorization?.split(' ') ?? []
  if (authorization === undefined) return headers
  return { ...headers, authorization: scheme === 'Basic' ? `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` : authorization }
}

/** A title may name the status; undefined is any success. */
function wantedStatus (title: string): number | undefined {
  const [, status] = /[:?] (\d{3})\b/.exec(title) ?? []
  return status === undefined ? undefined : Number(status)
}
