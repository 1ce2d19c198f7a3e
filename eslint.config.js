import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

const SQL = ['drizzle-orm', 'drizzle-orm/*', 'better-sqlite3']
const SERVER = ['fastify', 'fastify-plugin', '@fastify/*']

/** Who may import whom: data flows route → plugin → repository, and never back. Types may be imported from anywhere. */
function boundary (files, patterns) {
  return { files, rules: { 'no-restricted-imports': ['error', { patterns: patterns.map((pattern) => ({ allowTypeImports: true, ...pattern })) }] } }
}

const neverDbOrAudit = {
  files: ['routes/**/*.ts', 'cli/**/*.ts', 'plugins/features/*/command.ts'],
  rules: {
    'no-restricted-syntax': ['error', {
      selector: ':matches(ObjectPattern > Property[key.name=/^(db|audit)$/], MemberExpression[object.name=/^(fastify|service|server)$/][property.name=/^(db|audit)$/])',
      message: 'A route or a command calls one plugin, which does the work and records it.'
    }]
  }
}

const sizes = {
  files: ['app.ts', 'server/**', 'plugins/**/*.ts', 'routes/**/*.ts', 'db/**/*.ts', 'cli/**/*.ts'],
  rules: { 'max-lines': ['error', 150] }
}

export default [
  ...neostandard({ ts: true, noJsx: true, ignores: resolveIgnoresFromGitignore() }),
  boundary(['routes/**/*.ts'], [
    { regex: '^\\.\\.?/(?!(?:.*/)?schemas\\.ts$|(?:\\.\\./)*package\\.json$)', message: 'A route reaches everything but its schemas through decorators.' },
    { group: SQL, message: 'Only db/ knows SQL.' },
    { group: SERVER, message: 'A route imports types only.' }
  ]),
  boundary(['plugins/**/*.ts'], [
    { regex: '^\\.\\./(?!(?:\\.\\./)+package\\.json$|\\.\\./core/config/kinds\\.ts$)', message: 'A plugin reaches everything outside its folder through decorators.' },
    { group: SQL, message: 'Only db/ knows SQL.' }
  ]),
  boundary(['plugins/core/database.ts'], [
    { regex: '^\\.\\.?/(?!\\.\\./db/|database-events\\.ts$)', message: 'This is the one door to db/.' },
    { group: SQL, message: 'Only db/ knows SQL.' }
  ]),
  boundary(['db/**/*.ts'], [
    { regex: '^(\\.\\./){2}|^\\.\\./(plugins|routes|server|cli)/', message: 'db/ stands alone.' },
    { group: SERVER, message: 'db/ knows nothing of Fastify.' }
  ]),
  boundary(['cli/**/*.ts', 'server/**/*.ts'], [
    { regex: '(?:^|/)db/', message: 'Only plugins/core/database.ts opens db/.' },
    { group: SQL, message: 'Only db/ knows SQL.' }
  ]),
  neverDbOrAudit,
  sizes
]
