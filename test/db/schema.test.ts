import { createRequire } from 'node:module'
import Client from 'better-sqlite3'
import t from 'tap'
import { openDatabase } from '../../db/index.ts'
import { fileOf } from '../../db/sqlite/index.ts'
import { tables } from '../../db/sqlite/tables.ts'
import { databaseUrl } from '../helper.ts'

const { getTableConfig } = createRequire(import.meta.url)('drizzle-orm/sqlite-core') as typeof import('drizzle-orm/sqlite-core')

const TABLES = `select name from pragma_table_list
  where schema = 'main' and type = 'table' and name not like 'sqlite_%' and name <> '__drizzle_migrations' order by name`

const REFERENCES = 'select "from", "table", "to", on_delete from pragma_foreign_key_list(?)'

interface Column { name: string, type: string, notnull: number, pk: number }

t.test('The schema in the code is the one that the migrations make', async (t) => {
  const url = databaseUrl(t)
  await (await openDatabase(url)).close()
  const client = new Client(fileOf(url))
  t.teardown(() => client.close())

  const configs = Object.values(tables).map((table) => getTableConfig(table))
  t.same(configs.map(({ name }) => name).sort(), client.prepare(TABLES).pluck().all(), 'there are no others')

  for (const { name, columns, indexes, checks, foreignKeys, primaryKeys: [primaryKey], uniqueConstraints } of configs) {
    t.test(name, async (t) => {
      const found = client.prepare<[string], Column>('select name, type, "notnull", pk from pragma_table_info(?)').all(name)
      const { sql } = client.prepare<[string], { sql: string }>('select sql from sqlite_schema where name = ?').get(name)!
      const references = client.prepare(REFERENCES).all(name)

      const key = primaryKey?.columns ?? columns.filter(({ primary }) => primary)
      t.same(found, columns.map((column) => ({
        name: snakeCase(column.name),
        type: column.getSQLType().toUpperCase(),
        notnull: Number(column.notNull),
        pk: key.indexOf(column) + 1
      })))
      t.same(client.prepare("select name from pragma_index_list(?) where origin = 'c' order by name").pluck().all(name), [
        ...indexes.map(({ config }) => config.name),
        ...uniqueConstraints.map((constraint) => constraint.getName()),
        ...columns.filter(({ isUnique }) => isUnique).map(({ uniqueName }) => uniqueName)
      ].sort())
      for (const check of checks) t.match(sql, `CONSTRAINT "${check.name}" CHECK`)
      t.same(references, foreignKeys.map((key) => ({
        from: snakeCase(key.reference().columns[0]!.name),
        table: getTableConfig(key.reference().foreignTable).name,
        to: snakeCase(key.reference().foreignColumns[0]!.name),
        on_delete: key.onDelete?.toUpperCase()
      })))
    })
  }
})

function snakeCase (name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
