import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import manifest from '../package.json' with { type: 'json' }
import { TEST_ENVIRONMENT } from './helper.ts'
import type { Test } from 'tap'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The commands of package.json, to be run from any folder by the Node that runs the test. */
export const SERVER = commandOf(manifest.scripts.start)
export const CLI = commandOf(manifest.scripts.cli)

const PATIENCE_MILLISECONDS = 20_000

interface Surroundings {
  env?: Record<string, string>
  cwd?: string
}

interface RequestOptions {
  token?: string
  body?: object
}

function commandOf (script: string): string[] {
  const [, ...args] = script.replace(/^exec /, '').split(' ')
  return [process.execPath, ...args.map((word) => existsSync(join(ROOT, word)) ? join(ROOT, word) : word)]
}

/** Empty variables count as absent, so `{ DATABASE_URL: '' }` gives the default. */
function environment (env: Record<string, string>) {
  return { ...process.env, ...TEST_ENVIRONMENT, PORT: '0', ...env }
}

/** Runs a command to its end; `input` is what it reads. */
export async function run ([command = '', ...args]: string[], { env = {}, cwd = ROOT, input = '' }: Surroundings & { input?: string } = {}) {
  const child = spawn(command, args, { cwd, env: environment(env) })
  child.stdin.end(input)
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code, stdout, stderr }
}

/** A command in a terminal, as somebody at the keyboard has it. */
export function inTerminal (command: string[]): string[] {
  return ['script', '--quiet', '--return', '--command', command.map((word) => `'${word}'`).join(' '), '/dev/null']
}

/** Starts a command, by default the service, that is killed with the test if it still runs then. */
export function start (t: Test, { env = {}, cwd = ROOT, command: [command = '', ...args] = SERVER }: Surroundings & { command?: string[] } = {}) {
  const child = spawn(command, args, { cwd, env: environment(env), detached: true })
  const ended = once(child, 'close')
  t.teardown(() => { if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL') }) // it has an id, for it was started

  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => { output += chunk })
  child.stderr.pipe(process.stderr)

  const lines = () => output.split('\n').slice(0, -1)

  async function outputWhen<T> (find: () => T | undefined): Promise<T> {
    const signal = AbortSignal.timeout(PATIENCE_MILLISECONDS)
    for (;;) {
      const found = find()
      if (found !== undefined) return found
      await once(child.stdout, 'data', { signal })
    }
  }

  return {
    /** The lines that it has printed so far. */
    lines,

    /** The first line with these words, or the one that makes `count` of them, as soon as it is there. */
    says: (words: string, count = 1) => outputWhen(() => lines().filter((line) => line.includes(words))[count - 1]),

    /** Interrupts it as a terminal does: it and all processes that it has started. */
    interrupt () {
      process.kill(-child.pid!, 'SIGINT') // it has an id, for it was started
    },

    /** Waits until it asks this, then types the answer; gives what the terminal has shown by the end. */
    async asks (question: string, answer: string): Promise<string> {
      await outputWhen(() => output.endsWith(question) || undefined)
      child.stdin.write(answer)
      await ended
      return output
    },

    /** Sends a signal, if one is named, and waits for the end; gives the exit code, or null when the signal ended it. */
    async ends (signal?: NodeJS.Signals): Promise<number | null> {
      if (signal) child.kill(signal)
      const [code] = await ended
      return code
    }
  }
}

/** The service as a process, when it is ready. */
export async function startServer (t: Test, surroundings: Parameters<typeof start>[1] = {}) {
  const server = start(t, surroundings)
  const [address = ''] = /http:\/\/[\w.:[\]]+/.exec(await server.says('ready: ')) ?? []

  return {
    ...server,
    address,

    request: (method: string, path: string, { token, body }: RequestOptions = {}) => fetch(address + path, {
      method,
      headers: { ...token !== undefined && { authorization: `Bearer ${token}` }, ...body && { 'content-type': 'application/json' } },
      body: JSON.stringify(body)
    })
  }
}
