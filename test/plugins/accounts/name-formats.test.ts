import t from 'tap'
import { PASSWORD, assertRefused, build, buildShared, signIn, signUp, signUpAdmin } from '../../helper.ts'

const server = await buildShared(t)

const register = (names: object) => ({ method: 'POST' as const, url: '/auth/register', payload: { ...names, password: PASSWORD } })

/** Each name alone: a test's title shows what cannot be seen. */
const shown = (text: string) => encodeURIComponent(text.toWellFormed())

t.test('A username', async (t) => {
  for (const username of [
    'a', '7', 'Ada.Lovelace_1815-12+x', 'Ørsted', '李白', 'محمد', 'zoe\u0308', 'דוד1', 'राम', 'ကြွေ့', 'nguyễn', '한국', 'كاتب_٣', 'ジョン・スミス', 'Gal·la', 'ά͵α', 'İnci', 'a'.repeat(64)
  ]) {
    t.test(`may be of any script: ${shown(username)}`, async (t) => {
      t.equal((await signUp(server, { username })).user.username, username.normalize('NFC'))
      t.ok(await signIn(server, username))
    })
  }

  for (const username of ['victor\u034f', 'victor\u115f', 'victor\u1160', 'victor\u3164', 'victor\uffa0', 'victor\ufe00', 'victor\ufe0f', 'victor\u180b', 'victor\u17b4', 'victor\u{16fe4}', 'victor\u{1bc9d}', 'victor\u2d7f', 'victor\u{1107f}',
    'victor\u{e0100}', 'vic\u200btor', 'vic\u200ctor', 'vic\u200dtor', 'vic\u00adtor', 'vic\u2060tor', '\ufffdvictor', '\u3164', '\u2800', 'vic\u202etor']) {
    t.test(`has nothing that cannot be seen: ${shown(username)}`, async (t) => {
      const response = await server.inject(register({ username }))

      assertRefused(t, response, 400, 'validation_failed')
      t.equal(response.json().errors[0].pointer, '/username')
    })
  }

  for (const username of ['ﬁona', '𝐚𝐝𝐦𝐢𝐧', 'admin¹', '①dmin', 'Ⅷ', 'ª', 'ǆ', '\u1100\u1161\u11ab\u11ab', 'ـada', '〱']) {
    t.test(`has nothing that is another character in disguise: ${shown(username)}`, async (t) => {
      assertRefused(t, await server.inject(register({ username })), 400, 'validation_failed')
    })
  }

  for (const username of ['admin1א', 'אadmin', '٣كاتب', 'كا٣3', 'كاتب.', 'a\u0663', 'x·y', 'a・b', 'x͵y', 'x\u05f3', 'x٠۰', '\u0301ada', 'a\u0301\u0301', 'a\u0323\u0301\u0302\u0308\u0304', '.ada', 'ada lovelace', 'a/b', '🦉', ' ']) {
    t.test(`has each character where it belongs: ${shown(username)}`, async (t) => {
      assertRefused(t, await server.inject(register({ username })), 400, 'validation_failed')
    })
  }

  t.test('is the same in other widths, in other case, composed otherwise and with space around it', async (t) => {
    t.equal((await signUp(server, { username: ' Ｚoë\t' })).user.username, 'Zoë')

    for (const username of ['zoë', 'ZOË', 'ｚｏｅ\u0308', ' zoë ']) {
      t.ok(await signIn(server, username))
      assertRefused(t, await server.inject(register({ username })), 409, 'username_taken')
    }
  })

  t.test('is found and changed by the same rules', async (t) => {
    const admin = await signUpAdmin(server)
    const { user: { id } } = await signUp(server, { username: 'ada' })

    const renamed = await admin.inject({ method: 'PATCH', url: `/users/${id}`, payload: { username: ' Ｅve ', email: ' Eve@Example.COM ', name: '  Eve E. ' } })
    const refused = await admin.inject({ method: 'PATCH', url: `/users/${id}`, payload: { username: 'e\u3164ve' } })

    t.match(renamed.json(), { username: 'Eve', email: 'eve@example.com', name: 'Eve E.' })
    assertRefused(t, refused, 400, 'validation_failed')
    for (const q of [' EVE', 'ｅv', 'EVE@']) t.equal((await admin.inject({ url: '/users', query: { q } })).json().users.length, 1, q)
  })
})

t.test('An e-mail address', async (t) => {
  for (const [email, stored] of [
    ['ada@example.com'],
    [' Ada@Example.COM ', 'ada@example.com'],
    ['a/b+c=d@example.org'],
    ["o'neil@example.ie"],
    ['ünï@bücher.example'],
    ['ada@xn--bcher-kva.example', 'ada@bücher.example'],
    ['ada@BÜCHER.example', 'ada@bücher.example'],
    ['用户@例子.广告'],
    ['ada@faß.de'],
    [`${'a'.repeat(64)}@example.com`]
  ] as Array<[string, string?]>) {
    t.test(`may be of any script, with a domain after IDNA: ${shown(email)}`, async (t) => {
      t.equal((await signUp(server, { email })).user.email, stored ?? email)
      t.ok(await signIn(server, email))
      t.ok(await signIn(server, stored ?? email))
      assertRefused(t, await server.inject(register({ email })), 409, 'email_taken')
    })
  }

  for (const email of ['ada', '@example.com', 'ada@', 'ada@example', 'a\u3164@example.org', 'ａ@example.org', 'ﬁ@example.org', '\u202eada@example.org', 'a\u200b@example.org', 'ada@exam\u200bple.org', 'ada@bü\ncher.example',
    'ada@example.org\r\nBcc: eve@example.com', '.a@example.org', 'a.@example.org', 'a..b@example.org', 'a b@example.org', '"ada"@example.org', '<ada@example.org>', 'ada@@example.org', 'ada@example..org', 'ada@-example.org',
    'ada@example-.org', 'ada@exa_mple.org', 'ada@127.0.0.1', 'ada@0x7f.1', 'ada@[127.0.0.1]', 'ada@example.1', 'ada@אa.example', 'ada@xn--0.example', `ada@${'a'.repeat(64)}.org`, `${'a'.repeat(65)}@example.org`,
    `${'é'.repeat(33)}@example.org`, `${'ü'.repeat(30)}@${`${'bücher.'.repeat(28)}example`}`]) {
    t.test(`must be one: ${shown(email).slice(0, 60)}`, async (t) => {
      const response = await server.inject(register({ email }))

      assertRefused(t, response, 400, 'validation_failed')
      t.equal(response.json().errors[0].pointer, '/email')
    })
  }
})

t.test('A display name', async (t) => {
  for (const name of ['ジョン・スミス', "'t Hooft", 'Gal·la', 'علی\u200cرضا', 'ශ්\u200dරී', '‘Abd al-Rahman', 'Anne–Marie', 'SMITH/DUPONT', 'הרצל ת״א', 'Ada "Ace" L.', '山田\u3000太郎', '👩\u200d🚀', '❤\ufe0f', "O'Neil", 'Bob & Sally']) {
    t.test(`may be whatever people are called: ${shown(name)}`, async (t) => {
      const response = await server.inject(register({ username: 'ada', name: ` ${name}\t` }))

      t.equal(response.json().user.name, name)
    })
  }

  for (const name of ['', ' ', '\u3000', '\u3164', '\u2800', '\ufe0f', '\u0301', 'a\nb', 'a\u2028b', 'a\u202eb', 'a\u200eb', 'a\u061cb', 'a\u00adb', 'a\u0085b', 'a\0', 'a\ufffdb', 'a\ud800', 'a\ue000', 'a\uffffb', '\u200ca', 'a\u200c', 'a \u200db', 'a\u200c\u200cb', `a${'\u0301'.repeat(30)}`]) {
    t.test(`is text that can be seen, on one line: ${shown(name).slice(0, 40)}`, async (t) => {
      assertRefused(t, await server.inject(register({ username: 'ada', name })), 400, 'validation_failed')
    })
  }
})

t.test('An account from before these rules', async (t) => {
  const passwordHash = await server.passwords.hash(PASSWORD)

  /** As an earlier version stored it. */
  const old = (id: string, names: object) => server.db.users.add({ id, passwordHash, roles: [], createdAt: 1, ...names })

  for (const [username, usernameKey] of [['victor\ufe0f', 'victor\ufe0f'], ['ﬁona', 'ﬁona'], ['Admin1א', 'admin1א'], ['\u3164', '\u3164'], ['ＡＤＡ', 'ada'], ['Ⅷ', 'ⅷ'], ['\uffa0', '\u1160'], ['İ', 'i̇']] as const) {
    t.test(`signs in by its username: ${shown(username)}`, async (t) => {
      await old('a', { username, usernameKey })

      t.equal((await signIn(server, username)).user.id, 'a')
    })
  }

  for (const email of ['a\u3164@example.org', 'ａ@ｅxample.org', 'ada@xn--bcher-kva.example', '.ada@example.org', 'ada@127.0.0.1', 'ada@ﬁx.example', 'ada@-x.example']) {
    t.test(`signs in by its e-mail address: ${shown(email)}`, async (t) => {
      await old('a', { email })

      t.equal((await signIn(server, ` ${email}`)).user.id, 'a')
    })
  }

  t.test('is told from one whose address is the same by the new rules', async (t) => {
    await old('a', { email: 'ada@xn--bcher-kva.example' })
    const newer = await signUp(server, { email: 'ada@bücher.example' })

    t.equal((await signIn(server, 'ada@xn--bcher-kva.example')).user.id, 'a')
    t.equal((await signIn(server, 'ada@bücher.example')).user.id, newer.user.id)
  })
})

t.test('The domain of an e-mail address', async (t) => {
  for (const email of ['a@x.org/evil', 'a@x.org?x', 'a@x.org#q', 'a@x.org\\y', 'a@ex%61mple.org', 'a@x.org/,victim', 'a@bücher.example/evil', 'a@bü%63her.example', 'a@x.org:25', 'a@[x.org]']) {
    t.test(`is nothing but a domain: ${shown(email)}`, async (t) => {
      assertRefused(t, await server.inject(register({ email })), 400, 'validation_failed')
    })
  }

  t.test('that an account has in the spelling of earlier versions is taken', async (t) => {
    const server = await build(t)
    await server.db.users.add({ id: 'old', email: 'bob@xn--bcher-kva.example', passwordHash: '-', roles: [], createdAt: 0 })
    const bea = await signUp(server, { username: 'bea' })

    const change = await bea.inject({ method: 'PATCH', url: '/auth/me', payload: { email: 'bob@xn--bcher-kva.example', password: PASSWORD } })

    assertRefused(t, await server.inject(register({ email: 'bob@xn--bcher-kva.example' })), 409, 'email_taken')
    assertRefused(t, change, 409, 'email_taken')
  })
})
