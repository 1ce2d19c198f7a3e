import { once } from 'node:events'
import { createServer } from 'node:net'

const LOWEST = 15_000
/** Linux gives ports from here on to outgoing connections: one of those could take the port of a server that is down for a moment. */
const LOWEST_EPHEMERAL = 32_768

/** A port of 127.0.0.1 that is free, and stays so while its server starts again. */
export async function freePort (): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (LOWEST_EPHEMERAL - LOWEST))
    const server = createServer().listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
    } catch {
      continue // taken
    }
    server.close()
    await once(server, 'close')
    return port
  }
}
