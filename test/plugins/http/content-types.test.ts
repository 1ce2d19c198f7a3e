import t from 'tap'
import { PASSWORD, assertRefused, build, converse, signIn, signUp } from '../../helper.ts'

const JSON_TYPE = 'application/json'
const FORM_TYPE = 'application/x-www-form-urlencoded'

t.test('A form', async (t) => {
  const server = await build(t)
  const { refresh_token: refreshToken } = await signUp(server, { username: 'ada', email: 'ada@example.com' })
  const post = (url: string, payload: string | Buffer) => server.inject({ method: 'POST', url, payload, headers: { 'content-type': FORM_TYPE } })
  const password = encodeURIComponent(PASSWORD)

  t.test('is taken as JSON is', async (t) => {
    t.equal((await post('/auth/register', `username=bea&email=bea%40example.com&name=Bea+B.&password=${password}`)).json().user.name, 'Bea B.')
    t.equal((await post('/auth/login', `email=ada%40example.com&password=${password.replaceAll('%20', '+')}`)).statusCode, 200)
    t.equal((await post('/auth/refresh', `refresh_token=${refreshToken}`)).statusCode, 200)
  })

  t.test('may name its character set', async (t) => {
    for (const charset of ['UTF-8', 'utf-8', '"utf-8"', 'utf8']) {
      const headers = { 'content-type': `${FORM_TYPE}; charset=${charset}` }
      t.equal((await server.inject({ method: 'POST', url: '/auth/login', payload: `username=ada&password=${password}`, headers })).statusCode, 200, charset)
    }
  })

  t.test('may have empty fields, which count as absent', async (t) => {
    const { user } = (await post('/auth/register', `username=cleo&email=&name=&password=${password}`)).json()

    t.match(user, { username: 'cleo', email: null, name: null })
    t.match((await post('/auth/login', 'username=ada&password=')).json().errors, [{ pointer: '/password', detail: 'is missing' }])
  })

  t.test('may have letters that are not escaped', async (t) => {
    t.equal((await post('/auth/register', `username=zoë&password=${password}`)).json().user.username, 'zoë')
  })

  t.test('may have an equals sign in a value', async (t) => {
    t.equal((await post('/auth/register', 'username=dora&password=umbrellas=seven=yellow')).statusCode, 201)
    t.ok(await signIn(server, 'dora', 'umbrellas=seven=yellow'))
  })

  for (const [name, payload] of [
    ['a field twice', `username=ada&username=bea&password=${password}`],
    ['a list', `username[]=ada&password=${password}`],
    ['an object', `username[$ne]=x&password=${password}`],
    ['an unknown field', `username=ada&password=${password}&admin=true`],
    ['a prototype', `username=ada&password=${password}&__proto__=x`],
    ['a prototype\'s field', `username=ada&password=${password}&__proto__[admin]=true`],
    ['a constructor', `username=ada&password=${password}&constructor=x`],
    ['a NUL', `username=ada%00&password=${password}`],
    ['no password', 'username=ada'],
    ['nothing', ''],
    ['a thousand fields', `${'a=b&'.repeat(1000)}c=d&username=ada&password=${password}`]
  ]) {
    t.test(`with ${name} is refused as it would be in JSON`, async (t) => {
      assertRefused(t, await post('/auth/login', payload!), 400, 'validation_failed')
    })
  }

  for (const [name, payload] of [
    ['an escape of another character set', 'username=ada&password=cr%E8me+brulee'],
    ['a percent sign that escapes nothing', 'username=ada&password=violet+harbor%20100%+lantern'],
    ['half of an escape', 'username=ada&password=violet%C3'],
    ['an escaped half of a character', 'username=ada&password=%ED%A0%80violet'],
    ['bytes of another character set', Buffer.from('username=ada&password=crème brulee', 'latin1')]
  ] as const) {
    t.test(`with ${name} is refused, and not guessed at`, async (t) => {
      const response = await post('/auth/login', payload)

      assertRefused(t, response, 400, 'invalid_json')
      t.match(response.json().detail, /UTF-8/)
    })
  }
})

t.test('A body that is empty', async (t) => {
  const server = await build(t)
  await server.listen({ host: '127.0.0.1', port: 0 })

  for (const type of [JSON_TYPE, 'application/json; charset=utf-8', FORM_TYPE, 'text/plain', 'application/octet-stream', 'multipart/form-data; boundary=x', 'nonsense', 'text/plain; charset=latin1']) {
    t.test(`counts as no body, with the type ${type} too`, async (t) => {
      const headers = { 'content-type': type }
      const ada = await signUp(server)
      const eve = await signUp(server)

      t.equal((await ada.inject({ method: 'POST', url: '/auth/logout', headers: { ...headers, 'content-length': '0' } })).statusCode, 204)
      const chunked = await converse(server, 'POST /auth/logout HTTP/1.1', 'Host: x', 'Connection: close', `Authorization: Bearer ${eve.access_token}`,
        `Content-Type: ${type}`, 'Transfer-Encoding: chunked', '', '0')
      t.match(chunked, /^HTTP\/1\.1 204 /)
      assertRefused(t, await server.inject({ method: 'POST', url: '/auth/logout', headers, payload: '' }), 401, 'missing_token')
      t.match((await server.inject({ method: 'POST', url: '/auth/login', headers, payload: '' })).json().errors, [{ pointer: '', detail: /^Send a body/ }])
    })
  }

  t.test('counts as no body without a type, too', async (t) => {
    const { access_token: token } = await signUp(server)
    const answer = await converse(server, 'POST /auth/logout HTTP/1.1', 'Host: x', 'Connection: close', `Authorization: Bearer ${token}`, 'Transfer-Encoding: chunked', '', '0')

    t.match(answer, /^HTTP\/1\.1 204 /)
  })

  t.test('is none when it is a space', async (t) => {
    assertRefused(t, await server.inject({ method: 'POST', url: '/auth/login', headers: { 'content-type': JSON_TYPE }, payload: ' ' }), 400, 'invalid_json')
  })
})

t.test('A body', async (t) => {
  const server = await build(t)
  t.beforeEach(async () => { await server.db.users.removeAll() })
  const register = (payload: string | object, type = JSON_TYPE, headers = {}) => server.inject({ method: 'POST', url: '/auth/register', payload, headers: { 'content-type': type, ...headers } })
  const olga = (password: string) => JSON.stringify({ username: 'olga', password })

  for (const [name, payload] of [
    ['broken', '{"username":'],
    ['poisoned', '{"username":"ada","password":"seven yellow umbrellas","__proto__":{"admin":true}}'],
    ['poisoned otherwise', '{"username":"ada","password":"seven yellow umbrellas","constructor":{"prototype":{}}}'],
    ['in ISO-8859-1', Buffer.from(olga('crème-harbor-93-lantern'), 'latin1')],
    ['in windows-1251', Buffer.concat([Buffer.from('{"username":"olga","password":"'), Buffer.from([0xec, 0xee, 0xe9]), Buffer.from('-harbor-93"}')])],
    ['in UTF-16', Buffer.from(olga('seven yellow umbrellas'), 'utf16le')],
    ['cut off within a character', Buffer.from(olga('seven yellow umbrellas é')).subarray(0, -3)],
    ['in CESU-8', Buffer.concat([Buffer.from('{"username":"olga","password":"seven yellow '), Buffer.from([0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]), Buffer.from('"}')])],
    ['in UTF-8 that is longer than it need be', Buffer.concat([Buffer.from('{"username":"olga","password":"seven yellow '), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')])]
  ] as const) {
    t.test(`that is ${name} is invalid_json`, async (t) => {
      assertRefused(t, await register(payload), 400, 'invalid_json')
    })
  }

  t.test('may begin with a byte order mark (RFC 8259, section 8.1)', async (t) => {
    t.equal((await register(`\ufeff${olga('seven yellow umbrellas')}`)).statusCode, 201)
  })

  t.test('keeps the characters that it has', async (t) => {
    t.equal((await register(olga('мой-пароль-вечер-�'))).statusCode, 201)

    t.ok(await signIn(server, 'olga', 'мой-пароль-вечер-�'))
    await t.rejects(signIn(server, 'olga', 'ваш-секрет-ночью-�'))
  })

  for (const charset of ['windows-1251', 'utf-16', 'iso-8859-1', '"us-ascii"']) {
    t.test(`that names another character set is refused: ${charset}`, async (t) => {
      for (const type of [JSON_TYPE, FORM_TYPE]) {
        const response = await register(olga('seven yellow umbrellas'), `${type};charset=${charset}`)
        assertRefused(t, response, 415, 'unsupported_media_type')
        t.match(response.json().detail, 'UTF-8')
      }
    })
  }

  t.test('that is compressed is refused', async (t) => {
    const response = await register(olga('seven yellow umbrellas'), JSON_TYPE, { 'content-encoding': 'gzip' })

    assertRefused(t, response, 415, 'unsupported_media_type')
    t.match(response.json().detail, 'Content-Encoding')
    t.equal(response.headers['accept-encoding'], 'identity')
    t.equal((await register(olga('seven yellow umbrellas'), JSON_TYPE, { 'content-encoding': 'Identity' })).statusCode, 201)
  })

  for (const type of ['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'nonsense', '']) {
    t.test(`that is neither JSON nor a form is refused, with the types that are taken: ${type}`, async (t) => {
      const response = await register('--x', type)

      assertRefused(t, response, 415, 'unsupported_media_type')
      t.match(response.json().detail, /application\/json.*application\/x-www-form-urlencoded/)
    })
  }

  t.test('that is JSON by another name is refused with the right one, and nothing of it is repeated', async (t) => {
    for (const type of [FORM_TYPE, 'text/plain', '']) {
      const response = await register(` ${olga('seven yellow umbrellas')}`, type)

      assertRefused(t, response, 415, 'unsupported_media_type')
      t.match(response.json().detail, 'content-type: application/json')
      t.notMatch(response.body, /olga|umbrellas/)
    }
    const withoutType = await server.inject({ method: 'POST', url: '/auth/register', payload: olga('seven yellow umbrellas') })
    assertRefused(t, withoutType, 415, 'unsupported_media_type')
  })

  t.test('for an unknown address is not looked at', async (t) => {
    assertRefused(t, await server.inject({ method: 'POST', url: '/nowhere', payload: 'x', headers: { 'content-type': 'text/plain' } }), 404, 'not_found')
  })

  t.test('that is too large is refused', async (t) => {
    assertRefused(t, await register({ username: 'ada', password: 'x'.repeat(16 * 1024) }), 413, 'body_too_large')
  })
})
