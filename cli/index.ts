import { main } from './main.ts'
import { watchOutput } from './output.ts'

const finish = watchOutput()
process.exitCode = await finish(await main(process.argv.slice(2)))
