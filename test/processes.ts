import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { format } from 'node:util'
import { main } from '../cli/main.ts'
import manifest from '../package.json' with { type: 'json' }
import { TEST_ENVIRONMENT } from './helper.ts'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The commands of package.json, to be run from any folder by the Node that runs the test. */
export const SERVER = commandOf(manifest.scripts.start)
export const CLI = commandOf(manifest.scripts.cli)

const PATIENCE_MILLISECONDS = 20_000

/** A test, or whatever else ends and then ends what it has started. */
interface Beginning {
  teardown: (end: () => void) => void
}

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

/**
 * Runs a command line of the operator's to its end, in this process: `cli({ env }, 'users list')`. One after the other,
 * because they share the process's environment, input and console.
 */
export function cli ({ env = {}, input = '' }: Surroundings & { input?: string }, words: string) {
  turn = turn.then(() => inThisProcess(words.split(' '), environment(env), input))
  return turn
}

let turn = Promise.resolve({ code: 0, stdout: '', stderr: '' })

async function inThisProcess (args: string[], env: NodeJS.ProcessEnv, input: string) {
  const printed: Record<'log' | 'error', string[]> = { log: [], error: [] }
  const { env: ownEnv, stdin } = process
  const { log, error } = console
  process.env = env
  Object.defineProperty(process, 'stdin', { value: Readable.from([input]), configurable: true })
  console.log = (...values) => { printed.log.push(format(...values)) }
  console.error = (...values) => { printed.error.push(format(...values)) }
  try {
    const code = await main(args)
    const [stdout = '', stderr = ''] = [printed.log, printed.error].map((lines) => lines.map((line) => `${line}\n`).join(''))
    return { code, stdout, stderr }
  } finally {
    process.env = ownEnv
    Object.defineProperty(process, 'stdin', { value: stdin, configurable: true })
    Object.assign(console, { log, error })
  }
}

/** A command in a terminal, as somebody at the keyboard has it. */
export function inTerminal (command: string[]): string[] {
  return ['script', '--quiet', '--return', '--command', command.map((word) => `'${word}'`).join(' '), '/dev/null']
}

/** Starts a command, by default the service, that is killed with the test if it still runs then. */
export function start (t: Beginning, { env = {}, cwd = ROOT, command: [command = '', ...args] = SERVER }: Surroundings & { command?: string[] } = {}) {
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
    /** The id of the process. */
    pid: child.pid!, // it has one, for it was started

    /** The lines that it has printed so far. */
    lines,

    /** The first line with these words, or the one that makes `count` of them, as soon as it is there. */
    says: (words: string, count = 1) => outputWhen(() => lines().filter((line) => line.includes(words))[count - 1]),

    /** Interrupts it as a terminal does: it and all processes that it has started. */
    interrupt () {
      process.kill(-child.pid!, 'SIGINT') // it has an id, for it was started
    },

    /** Waits for each question, then types its answer; gives what the terminal has shown by the end. */
    async asks (...dialogue: Array<[question: string, answer: string]>): Promise<string> {
      for (const [question, answer] of dialogue) {
        await outputWhen(() => output.endsWith(question) || undefined)
        child.stdin.write(answer)
      }
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
export async function startServer (t: Beginning, surroundings: Parameters<typeof start>[1] = {}) {
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
