import { mkdirSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { findMisspelt, loadEnvFile } from '../../../plugins/core/config/env-file.ts'

const SETTINGS = ['PORT', 'ACCESS_TOKEN_TTL', 'REFRESH_TOKEN_TTL', 'TRUST_PROXY']

t.test('loadEnvFile', async (t) => {
  const cwd = process.cwd()
  t.beforeEach((t) => { process.chdir(t.testdir()) })
  t.afterEach(() => { process.chdir(cwd) })

  t.test('does nothing where there is no file', async (t) => {
    const environment = {}

    t.same(loadEnvFile(environment), [])
    t.same(environment, {})
  })

  t.test('reads the file, also with a byte order mark, into an environment that takes precedence', async (t) => {
    writeFileSync('.env', '\ufeffPORT=80\nAUDIENCE="one"\n# ISSUER=x\n')
    const environment = { AUDIENCE: 'two' }

    t.same(loadEnvFile(environment).sort(), ['AUDIENCE', 'PORT'])
    t.same(environment, { PORT: '80', AUDIENCE: 'two' })
  })

  t.test('refuses bytes that are no text, and what is no file', async (t) => {
    writeFileSync('.env', Buffer.from('AUDIENCE=caf\xe9', 'latin1'))
    t.throws(() => loadEnvFile({}), { code: 'wrong_setting', message: /^The file \.env cannot be read as UTF-8 text \(.+\)\.$/ })

    process.chdir(t.testdir())
    mkdirSync('.env')
    t.throws(() => loadEnvFile({}), { code: 'wrong_setting', message: /^The file \.env cannot be read as UTF-8 text \(EISDIR.+\)\.$/ })
  })
})

t.test('findMisspelt', async (t) => {
  t.test('names the setting that was meant', async (t) => {
    t.same(findMisspelt(['PORT', 'ACCES_TOKEN_TTL', 'port', 'TRUSTED_PROXY'], SETTINGS), [
      'ACCES_TOKEN_TTL in .env is no setting of Postern, and is ignored. Do you mean ACCESS_TOKEN_TTL?',
      'port in .env is no setting of Postern, and is ignored. Do you mean PORT?',
      'TRUSTED_PROXY in .env is no setting of Postern, and is ignored. Do you mean TRUST_PROXY?'
    ])
  })

  t.test('names none that is like nothing, and leaves the variables of Node and the like alone', async (t) => {
    t.same(findMisspelt(['COMPOSE_PROJECT', 'NODE_ENV', 'TZ'], SETTINGS), ['COMPOSE_PROJECT in .env is no setting of Postern, and is ignored.'])
  })
})
