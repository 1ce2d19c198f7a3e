import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

/** Who may import whom: data flows route → decorator → repository, and never back. */
function boundary (files, patterns) {
  return { files, rules: { 'no-restricted-imports': ['error', { patterns }] } }
}

const sql = ['drizzle-orm', 'drizzle-orm/*', 'better-sqlite3']
const server = ['fastify', 'fastify-plugin', '@fastify/*']

export default [
  ...neostandard({ ts: true, noJsx: true, ignores: resolveIgnoresFromGitignore() }),
  boundary(['routes/**/*.ts'], [
    { regex: '^\\.\\.?/(?!(?:.*/)?schemas\\.ts$|package\\.json$)', message: 'A route reaches everything but its schemas through decorators.' },
    { group: sql, message: 'Only db/ knows SQL.' },
    { group: server, allowTypeImports: true, message: 'A route imports types only.' }
  ]),
  boundary(['plugins/**/*.ts'], [
    { regex: '^\\./(?!problem\\.ts$)', allowTypeImports: true, message: 'A plugin reaches other plugins through decorators.' },
    { regex: '^\\.\\./(?!package\\.json$)', message: 'A plugin reaches the database through fastify.db.' },
    { group: sql, message: 'Only db/ knows SQL.' }
  ]),
  boundary(['plugins/db.ts'], [
    { regex: '^\\.\\.?/(?!db/)', message: 'This is the one door to db/.' },
    { group: sql, message: 'Only db/ knows SQL.' }
  ]),
  boundary(['db/**/*.ts'], [
    { regex: '^\\.\\./', message: 'db/ stands alone.' },
    { group: server, message: 'db/ knows nothing of Fastify.' }
  ])
]
