import { main } from './main.ts'
import { watchOutput } from './output.ts'

const isWritten = watchOutput()
const code = await main(process.argv.slice(2))
process.exitCode = await isWritten() ? code : 1
