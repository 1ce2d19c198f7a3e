import { strict as assert } from 'node:assert'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { ValidateFunction } from 'ajv'
import type { OutgoingHttpHeaders } from 'node:http'
import type { Document, Generated } from './requests.ts'

/** What no answer and no log line may hold: stacks, paths, SQL, hashes, keys. */
const LEAKS = /\n\s+at |node_modules|file:\/\/|\.ts:\d|SQLITE|UNIQUE constraint|\$argon2id\$v=19\$m=1024|PRIVATE KEY/
const SHORTEST_SECRET = 12

interface Answer {
  statusCode: number
  headers: OutgoingHttpHeaders
}

/** Judges answers by the document that the service serves. */
export function createJudge (document: Document) {
  const ajv = new Ajv2020({ strict: false, validateFormats: true })
  formats.default(ajv)
  ajv.addSchema({ ...document, $id: 'document' })

  const validators = new Map<string, ValidateFunction>()

  function assertBody ({ path, method }: Generated, status: string, type: string, text: string) {
    const at = ['paths', path, method, 'responses', status, 'content', type, 'schema'].map((key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')
    const validate = validators.get(at) ?? ajv.compile({ $ref: `document#/${at}` })
    validators.set(at, validate)
    const body = /json$/.test(type) ? JSON.parse(text) : text
    assert.ok(validate(body), `${JSON.stringify(validate.errors)} in ${text}`)
  }

  /** Which operation an answer is documented by; none for what is not found, and what is not allowed. */
  function documentedAs ({ path, method, ...rest }: Generated): Generated | undefined {
    const name = path === '/verify' || method === 'HEAD' ? 'get' : method.toLowerCase()
    return document.paths[path]?.[name] && { ...rest, path, method: name }
  }

  function assertDocumented (request: Generated, { headers, statusCode }: Answer, text: string) {
    const status = String(statusCode)
    const response = document.paths[request.path]![request.method]!.responses[status] ?? assert.fail(`${status} is not documented: ${text}`)
    for (const name of Object.keys(response.headers ?? {})) assert.ok(name.toLowerCase() in headers, `${name} is documented`)
    const [type = ''] = String(headers['content-type'] ?? '').split(';')
    if (!response.content) return assert.equal(text, '', 'no body is documented')
    assert.ok(type in response.content, `${type} is not documented for ${status}`)
    if (text !== '') assertBody(request, status, type, text)
  }

  function assertNothingLeaks (secrets: string[], text: string) {
    assert.doesNotMatch(text, LEAKS)
    for (const secret of secrets) if (secret.length >= SHORTEST_SECRET) assert.ok(!text.includes(secret), `${secret} in ${text}`)
  }

  return {
    assertNothingLeaks,

    /** Throws an AssertionError unless an answer is one that the document has, and holds nothing of `secrets`. */
    assertGood (request: Generated, answer: Answer, text: string, secrets: string[]) {
      const { headers, statusCode } = answer
      const isMisspelt = request.path === '/verify' && request.url.includes('?') // it refuses parameters that it does not know
      assert.ok(statusCode < 500 || (isMisspelt && statusCode === 503), text)
      assertNothingLeaks(secrets, `${text}${JSON.stringify(headers)}`)
      const documented = documentedAs(request)
      if (documented && statusCode !== 405) return assertDocumented(documented, answer, request.method === 'HEAD' ? '' : text)

      assert.match(text, request.method === 'HEAD' ? /^/ : /^\{"type":"about:blank".*"code":"\w+".*\}$/)
      assert.ok([400, 404, 405, 414, 417].includes(statusCode), `${statusCode} ${text}`)
      if (statusCode === 405) assert.ok(String(headers.allow).split(', ').every((method) => method !== request.method))
    }
  }
}
