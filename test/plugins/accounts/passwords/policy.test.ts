import t from 'tap'
import { PASSWORD, build } from '../../../helper.ts'

t.test('The password policy', async (t) => {
  const { passwords } = await build(t)
  const names = ['ada.lovelace', 'countess@example.com', 'Ada Lovelace', null, undefined]

  for (const good of [PASSWORD, 'kxqvzjwy', '🌂🌃🌄🌅🌆🌇🌈🌉', 'ada.lovelace1', 'countess of lovelace', 'x'.repeat(2) + 'q7 '.repeat(80)]) {
    t.test(`takes ${good.slice(0, 24)}`, async (t) => {
      await t.resolves(passwords.assertStrong(good, names))
    })
  }

  const bad: Array<[detail: RegExp, passwords: string[]]> = [
    [/too short\. Choose one of at least 8 characters/, ['', 'kxqvzjw', '🌂🌃🌄🌅🌆🌇🌈', 'Å'.normalize('NFD').repeat(7)]],
    [/one of your own names/, ['ada.lovelace', 'ADA.Lovelace', 'countess', 'countess@example.com', 'Ada Lovelace', 'ada lovelace']],
    [/easy to guess/, ['password', 'PassWord', 'iloveyou', 'trustno1', 'passwordpassword', 'umbrellaumbrella', 'aaaaaaaaaaaa', '12121212', 'abcabcabcabc', 'qwertyuiop']]
  ]
  for (const [detail, examples] of bad) {
    for (const password of examples) {
      t.test(`refuses ${password}`, async (t) => {
        await t.rejects(passwords.assertStrong(password, names), { code: 'weak_password', detail })
      })
    }
  }

  t.test('asks for as many characters as PASSWORD_MIN_LENGTH says', async (t) => {
    const { passwords } = await build(t, { env: { PASSWORD_MIN_LENGTH: '15' } })

    await t.rejects(passwords.assertStrong('kxqvzjwykxqvzj', []), { code: 'weak_password', detail: /at least 15 characters/ })
    await t.resolves(passwords.assertStrong('kxqvzjwymbnfghj', []))
  })
})
