import { build } from '../helper.ts'
import { fuzz } from './fuzz.ts'
import { numberFrom, seedFromEnvironment } from '../program.ts'

/** Sends REQUESTS random requests from SEED, and ends with code 1 where an answer is not as the OpenAPI document has it. */
const requests = numberFrom('REQUESTS', 100_000)
const seed = seedFromEnvironment()
let lines = ''
const logger = { stream: { write (line: string) { lines += line } } }
const server = await build({ teardown () {} }, { logger }) // it is closed below
const startedAt = Date.now()

function logged () {
  const since = lines
  lines = ''
  return since
}

console.log(`fuzz: seed ${seed}`)
const counts = Object.entries(await fuzz(server, { requests, seed, logged }))
await server.close()

const byStatus = Object.groupBy(counts, ([operation]) => operation.split(' ')[2]!)
console.log(`fuzz: ${requests} requests, ${Math.round(requests / (Date.now() - startedAt) * 1000)} a second, ${counts.length} different answers of operations, and every one as documented`)
console.log(Object.entries(byStatus).map(([status, counts = []]) => `${status}: ${counts.reduce((sum, [, count]) => sum + count, 0)}`).join(', '))
if (process.env.LIST) console.log(counts.map(([operation, count]) => `${operation}: ${count}`).sort().join('\n'))
