import t from 'tap'
import { PASSWORD, assertRefused, build, signIn, signUp, signUpAdmin, stored } from '../helper.ts'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'

const KIB = 1024
const JSON_TYPE = 'application/json'
const FORM_TYPE = 'application/x-www-form-urlencoded'
const SQL = ["'; DROP TABLE users; --", "' OR '1'='1", "x' UNION SELECT password_hash FROM users --", '"; DELETE FROM sessions; --']

interface Operation {
  method: 'POST' | 'PATCH' | 'DELETE'
  url: string
  /** A body that it takes. */
  body: Record<string, unknown>
  /** Who sends it: with an access token, or nobody in particular. */
  by?: 'user' | 'admin'
  /** A field that holds a new password, in which any text is a good one. */
  chooses?: string
}

const operations: Operation[] = [
  { method: 'POST', url: '/auth/register', body: { username: 'eve', email: 'eve@example.com', name: 'Eve', password: PASSWORD }, chooses: 'password' },
  { method: 'POST', url: '/auth/login', body: { username: 'ada', password: PASSWORD } },
  { method: 'POST', url: '/auth/login', body: { email: 'ada@example.com', password: PASSWORD } },
  { method: 'POST', url: '/auth/refresh', body: { refresh_token: 'prt_' } },
  { method: 'POST', url: '/auth/logout', body: { refresh_token: 'prt_' } },
  { method: 'PATCH', url: '/auth/me', by: 'user', body: { username: 'eve', email: 'eve@example.com', name: 'Eve', password: PASSWORD } },
  { method: 'DELETE', url: '/auth/me', by: 'user', body: { password: PASSWORD } },
  { method: 'POST', url: '/auth/password', by: 'user', body: { current_password: PASSWORD, new_password: 'eight purple elephants' }, chooses: 'new_password' },
  { method: 'PATCH', url: '/users/:id', by: 'admin', body: { username: 'eve', email: 'eve@example.com', name: 'Eve', roles: ['editor'], disabled: true } }
]

const allowed: Record<string, string> = {
  '/auth/register': 'POST',
  '/auth/login': 'POST',
  '/auth/refresh': 'POST',
  '/auth/logout': 'POST',
  '/auth/me': 'DELETE, GET, HEAD, PATCH',
  '/auth/password': 'POST',
  '/users/:id': 'DELETE, GET, HEAD, PATCH'
}

type Refusal = [status: number, code: string]

/** What no field of this name takes, by what it should be. */
const text = [5, true, [], ['ada'], {}, { length: 3 }]
const wrongTypes: Record<string, unknown[]> = {
  roles: [5, true, {}, 'admin', [5], [null], [['admin']], ['Admin'], [''], ['admin', 'admin'], Array.from({ length: 17 }, (_, i) => `r${i}`)],
  disabled: [5, 0, 'true', [], {}]
}

/** Characters that no field takes: each breaks something somewhere. */
const badCharacters = {
  'a NUL': 'a\0b',
  'a line feed': 'a\nb',
  'an escape character': 'a\x1b[31mb',
  'a C1 control character': 'a\x85b',
  'half a character': 'a\ud800b',
  'the other half': 'a\udc00b'
}

for (const operation of operations) {
  const { method, url, body, chooses } = operation
  const fields = Object.keys(body)
  const texts = fields.filter((field) => typeof body[field] === 'string')
  const takesToken = url === '/auth/refresh' || url === '/auth/logout'
  const onBadText: Refusal = takesToken ? [401, 'invalid_token'] : [400, 'validation_failed']
  const onNothing: Refusal = takesToken ? [401, 'missing_token'] : [400, 'validation_failed']

  t.test(`${method} ${url} with ${fields.join(', ')}`, async (t) => {
    const service = await serviceFor(t, operation)

    t.test('refuses broken JSON', async (t) => {
      for (const payload of ['{', '{"username":', '{"a":1}}', "{'a':1}", 'undefined', 'NaN', '{"a":1,}', '\0', ' ', '\ud83e']) {
        const response = await service.send({ payload, headers: { 'content-type': JSON_TYPE } })
        assertRefused(t, response, 400, 'invalid_json')
      }
      await service.assertUnchanged(t)
    })

    t.test('refuses a body that is no object', async (t) => {
      for (const payload of ['[]', '[{}]', '"text"', '5', 'true', '[[[[]]]]', `[${JSON.stringify(body)}]`]) {
        const response = await service.send({ payload, headers: { 'content-type': JSON_TYPE } })
        assertRefused(t, response, 400, 'validation_failed')
        t.equal(response.json().errors[0].pointer, '')
      }
      for (const payload of ['null', '{}', '']) {
        const response = await service.send({ payload, headers: { 'content-type': JSON_TYPE } })
        assertRefused(t, response, ...onNothing)
      }
      await service.assertUnchanged(t)
    })

    t.test('requires a body', async (t) => {
      assertRefused(t, await service.send({}), ...onNothing)
      await service.assertUnchanged(t)
    })

    t.test('refuses fields of a wrong type, and points to them', async (t) => {
      for (const field of fields) {
        const isRequired = field.endsWith('password') && method !== 'PATCH'
        for (const value of wrongTypes[field] ?? [...text, ...isRequired ? [null] : []]) {
          const response = await service.send({ payload: { ...body, [field]: value } })

          assertRefused(t, response, 400, 'validation_failed')
          t.match(response.json().errors[0].pointer, new RegExp(`^/${field}(/\\d+)?$`), JSON.stringify(value))
        }
      }
      await service.assertUnchanged(t)
    })

    t.test('refuses unknown fields, and points to them', async (t) => {
      for (const field of ['is_admin', '', 'constructor', 'toString', 'hasOwnProperty', 'password_hash', 'a/b~c']) {
        const response = await service.send({ payload: { ...body, [field]: 'x' } })

        assertRefused(t, response, 400, 'validation_failed')
        const isName = /^\w+$/.test(field)
        t.strictSame(response.json().errors[0], isName ? { pointer: `/${field}`, detail: 'is not a known field' } : { pointer: '', detail: 'has a field that is not known' })
      }
      await service.assertUnchanged(t)
    })

    t.test('refuses what would change the prototype of objects', async (t) => {
      for (const poison of ['"__proto__":{"roles":["admin"]}', '"__proto__":null', '"\\u005f_proto__":{}', '"constructor":{"prototype":{"roles":["admin"]}}']) {
        const whole = JSON.stringify(body).replace('{', `{${poison},`)
        assertRefused(t, await service.send({ payload: whole, headers: { 'content-type': JSON_TYPE } }), 400, 'invalid_json')
        for (const field of fields) {
          const nested = JSON.stringify({ ...body, [field]: 0 }).replace(`"${field}":0`, `"${field}":{${poison}}`)
          assertRefused(t, await service.send({ payload: nested, headers: { 'content-type': JSON_TYPE } }), 400, 'invalid_json')
        }
      }
      for (const key of ['__proto__', '__proto__[roles]', 'constructor', 'constructor[prototype][roles]']) {
        const form = new URLSearchParams({ ...flat(body), [key]: 'admin' }).toString()
        assertRefused(t, await service.send({ payload: form, headers: { 'content-type': FORM_TYPE } }), 400, 'validation_failed')
      }
      t.notOk('roles' in {})
      await service.assertUnchanged(t)
    })

    t.test('refuses control characters and halves of characters', async (t) => {
      for (const field of texts) {
        for (const [what, value] of Object.entries(badCharacters)) {
          const response = await service.send({ payload: { ...body, [field]: value } })

          assertRefused(t, response, ...onBadText)
          if (!takesToken) t.match(response.json().errors[0], { pointer: `/${field}`, detail: /not allowed here/ }, what)
        }
      }
      await service.assertUnchanged(t)
    })

    t.test('refuses 300 characters in a field, and none', async (t) => {
      for (const field of texts) {
        for (const value of ['a'.repeat(300), '🦉'.repeat(300), '']) {
          const response = await service.send({ payload: { ...body, [field]: value } })

          assertRefused(t, response, ...onBadText)
          if (!takesToken) t.equal(response.json().errors[0].pointer, `/${field}`)
        }
      }
      await service.assertUnchanged(t)
    })

    t.test('treats SQL as text', async (t) => {
      for (const field of texts.filter((field) => field !== chooses && field !== 'name')) {
        for (const value of SQL) {
          const response = await service.send({ payload: { ...body, [field]: value } })

          assertRefusedSomehow(t, response)
        }
      }
      await service.assertUnchanged(t)
    })

    t.test('refuses a body over 16 KiB', async (t) => {
      const long = 'a'.repeat(16 * KIB)
      assertRefused(t, await service.send({ payload: { ...body, [fields[0]!]: long } }), 413, 'body_too_large')
      assertRefused(t, await service.send({ payload: `${fields[0]}=${long}`, headers: { 'content-type': FORM_TYPE } }), 413, 'body_too_large')
      assertRefusedSomehow(t, await service.send({ payload: '['.repeat(16 * KIB), headers: { 'content-type': JSON_TYPE } }))
      assertRefusedSomehow(t, await service.send({ payload: '[1]'.padStart(16 * KIB), headers: { 'content-type': JSON_TYPE } }))
      await service.assertUnchanged(t)
    })

    t.test('refuses other content types', async (t) => {
      for (const type of ['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'application/jsonp', 'x', 'application/json, text/plain', '*/*']) {
        const response = await service.send({ payload: JSON.stringify(body), headers: { 'content-type': type } })
        assertRefused(t, response, 415, 'unsupported_media_type')
      }
      assertRefused(t, await service.send({ payload: JSON.stringify(body) }), 415, 'unsupported_media_type')
      await service.assertUnchanged(t)
    })

    t.test('refuses a form whose fields are given twice', async (t) => {
      const [first = ''] = texts
      const form = new URLSearchParams([...Object.entries(flat(body)), [first, 'second']]).toString()

      const response = await service.send({ payload: form, headers: { 'content-type': FORM_TYPE } })

      assertRefused(t, response, 400, 'validation_failed')
      t.ok(response.json().errors.some(({ pointer }: { pointer: string }) => pointer === `/${first}`))
      await service.assertUnchanged(t)
    })

    t.test('refuses other methods, and names its own', async (t) => {
      for (const other of ['PUT', 'OPTIONS', 'TRACE'] as const) {
        const response = await service.send({ method: other })

        assertRefused(t, response, 405, 'method_not_allowed')
        t.equal(String(response.headers.allow).split(', ').sort().join(', '), allowed[url])
      }
      await service.assertUnchanged(t)
    })

    t.test('is tested with a body that it would take', async (t) => {
      const response = await service.send({ payload: body })

      if (takesToken) assertRefused(t, response, 401, 'invalid_token')
      else t.ok(response.statusCode < 300, response.body)
    })
  })
}

t.test('a password', async (t) => {
  t.test('may be SQL, or the name of what every object has', async (t) => {
    const server = await build(t)

    for (const [i, password] of [...SQL, '__proto__', 'constructor', 'hasOwnProperty'].entries()) {
      const registration = await server.inject({ method: 'POST', url: '/auth/register', payload: { username: `ada${i}`, password } })

      t.equal(registration.statusCode, 201, password)
      t.ok(await signIn(server, `ada${i}`, password))
    }
  })
})

t.test('a display name', async (t) => {
  t.test('may be SQL', async (t) => {
    const server = await build(t)

    for (const [i, name] of SQL.entries()) {
      const registration = await server.inject({ method: 'POST', url: '/auth/register', payload: { username: `ada${i}`, name, password: PASSWORD } })

      t.equal(registration.json().user.name, name)
    }
    t.equal((await stored(server)).users.length, SQL.length)
  })
})

t.test('a username', async (t) => {
  const good = ['a', '7', 'Ada.Lovelace_1815-12+x', 'Ørsted', '李白', 'محمد', 'zoe\u0308', 'a'.repeat(64)]
  const bad = [
    'a'.repeat(65), 'ada@example.com', 'ada lovelace', '.ada', '-ada', 'a/b', 'a\\b', 'a\u200bb', 'a\u202eb', 'a\u00adb', 'a\u2028b', 'a\ufeffda', 'ﬁona', 'ada\u3164', 'ada\ufe0f',
    '🦉', '<b>', 'a%b', 'a;b', 'a&b', 'a:b', '$a', '{a}', '`a`', '../a'
  ]

  t.test('may be a word of any script', async (t) => {
    const server = await build(t)

    for (const username of good) t.equal((await signUp(server, { username })).user.username, username.normalize('NFC'))
  })

  t.test('refuses characters that could be mistaken for others', async (t) => {
    const server = await build(t)

    for (const username of bad) {
      const response = await server.inject({ method: 'POST', url: '/auth/register', payload: { username, password: PASSWORD } })

      assertRefused(t, response, 400, 'validation_failed')
      t.equal(response.json().errors[0].pointer, '/username', encodeURIComponent(username))
    }
    t.strictSame((await stored(server)).users, [])
  })
})

t.test('an e-mail address', async (t) => {
  t.test('must be one', async (t) => {
    const server = await build(t)
    const bad = ['ada', '@example.com', 'ada@', 'ada@example', 'a b@example.com', 'ada@exa mple.com', 'ada@@example.com', 'ada@example..com', `${'a'.repeat(65)}@example.com`,
      `ada@${'a'.repeat(250)}.com`, '"ada"@example.com', '<ada@example.com>', 'ada@example.com\r\nBcc: eve@example.com', 'ada@example.com,eve@example.com']

    for (const email of bad) {
      const response = await server.inject({ method: 'POST', url: '/auth/register', payload: { email, password: PASSWORD } })

      assertRefused(t, response, 400, 'validation_failed')
      t.equal(response.json().errors[0].pointer, '/email', encodeURIComponent(email))
    }
    t.strictSame((await stored(server)).users, [])
  })
})

t.test('an address', async (t) => {
  t.test('where there is nothing is a 404', async (t) => {
    const server = await build(t)

    for (const url of ['/nothing', '/auth', '/auth/login/', '/AUTH/login', '/secret/', '/.env', '/users/x/y', '/health', '/%00', '/auth%2flogin', '/?'.repeat(50).slice(1).replace('?', 'x')]) {
      assertRefused(t, await server.inject({ url }), 404, 'not_found')
    }
  })

  t.test('that is broken is a 400', async (t) => {
    const server = await build(t)
    const admin = await signUpAdmin(server)

    for (const url of ['/%zz', '/%', '/auth/%e0%a4%a', '/users/%zz', '/users/%ff', '/auth/sessions/%']) {
      const response = await admin.inject({ url, method: url.startsWith('/auth/s') ? 'DELETE' : 'GET' })

      assertRefused(t, response, 400, 'bad_request')
    }
  })

  t.test('that is too long is a 414', async (t) => {
    const server = await build(t)
    const admin = await signUpAdmin(server)

    const response = await admin.inject({ url: `/users/${'a'.repeat(101)}` })

    assertRefused(t, response, 414, 'uri_too_long')
  })

  t.test('is echoed nowhere', async (t) => {
    const server = await build(t)

    for (const url of ['/<script>', '/nothing?q=<script>', '/%zz<script>']) {
      const response = await server.inject({ url })

      t.notMatch(response.body, 'script')
    }
  })
})

t.test('an operation without a body', async (t) => {
  t.test('ignores one that it does not read', async (t) => {
    const server = await build(t)
    const ada = await signUp(server)

    const response = await ada.inject({ method: 'POST', url: '/auth/logout/all', payload: { surprise: true } })

    t.equal(response.statusCode, 204)
  })

  t.test('refuses one that is broken JSON', async (t) => {
    const server = await build(t)
    const ada = await signUp(server)

    const response = await ada.inject({ method: 'POST', url: '/auth/logout/all', headers: { 'content-type': JSON_TYPE }, payload: '{' })

    assertRefused(t, response, 400, 'invalid_json')
    t.equal((await ada.inject({ url: '/secret' })).statusCode, 200)
  })
})

/** A service with some people in it; `send` sends an operation, `assertUnchanged` says that none of it was stored. */
async function serviceFor (t: Test, { method, url, by }: Operation) {
  const server = await build(t)
  const user = await signUp(server, { username: 'ada', email: 'ada@example.com' })
  const admin = await signUpAdmin(server)
  const people = { user, admin }
  const before = await stored(server)

  return {
    send (request: InjectOptions): Promise<LightMyRequestResponse> {
      const sender: Pick<FastifyInstance, 'inject'> = by ? people[by] as never : server
      return sender.inject({ method, url: url.replace(':id', user.user.id), ...request }) as never
    },
    async assertUnchanged (t: Test) {
      t.strictSame(await stored(server), before)
    }
  }
}

function assertRefusedSomehow (t: Test, response: LightMyRequestResponse) {
  t.ok(response.statusCode >= 400 && response.statusCode < 500, response.body)
  assertRefused(t, response, response.statusCode, response.json().code)
}

function flat (body: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(body).map(([field, value]) => [field, String(value)]))
}
