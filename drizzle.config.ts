import { defineConfig } from 'drizzle-kit'

// `npm run db:generate` writes the migrations of both engines: it runs this twice, with ENGINE=sqlite and ENGINE=postgres.
const engine = process.env.ENGINE ?? 'sqlite'

export default defineConfig({
  dialect: engine === 'postgres' ? 'postgresql' : 'sqlite',
  casing: 'snake_case',
  schema: `./db/${engine}/schema.ts`,
  out: `./db/${engine}/migrations`
})
