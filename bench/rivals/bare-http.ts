// Node alone, as an upper bound.
import { createServer } from 'node:http'
import { listen } from './shared.ts'

listen(createServer((_request, response) => {
  response.setHeader('content-type', 'application/json; charset=utf-8')
  response.end('{"status":"ok"}')
}))
