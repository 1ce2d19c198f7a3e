import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { FEATURES } from './features.ts'
import { ROUTE_TABLE } from './route-table.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const FOLDERS = ['server', 'plugins', 'routes', 'db', 'cli']

/**
 * `npm test` has no PostgreSQL server: what needs one is tested by `npm run test:postgres` and `npm run test:instances`. So is
 * what copies between the engines.
 */
const NEEDS_A_SERVER = [
  /^db\/postgres\//, /\/shared-database\.ts$/, /^cli\/(cluster|server)-findings\.ts$/, /^cli\/restore-(to-server|candidate)\.ts$/,
  /^cli\/(copy|progress)\.ts$/, /^db\/(sqlite\/)?copy[\w-]*\.ts$/, /^db\/recorded-state\.ts$/
]

const files = ['app.ts', ...FOLDERS.flatMap(sourcesIn)].filter(isOurs)

function sourcesIn (folder: string): string[] {
  const files = readdirSync(`${ROOT}/${folder}`, { recursive: true, encoding: 'utf8' })
  return files.filter((file) => file.endsWith('.ts')).map((file) => `${folder}/${file}`)
}

/** What a fork adds to routes/ and to plugins/features/ need not be covered by the project's tests. */
function isOurs (file: string): boolean {
  if (NEEDS_A_SERVER.some((pattern) => pattern.test(file))) return false
  const [, feature] = /^plugins\/features\/([^/]+)\//.exec(file) ?? []
  if (feature !== undefined) return feature in FEATURES
  const [, route] = /^routes\/(.*)$/.exec(file) ?? []
  return route === undefined || route in ROUTE_TABLE || route.endsWith('schemas.ts')
}

/** Tells tap which files must be covered: the project's own, by whichever test. */
export default () => files
