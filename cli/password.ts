import { createInterface } from 'node:readline/promises'
import { buffer } from 'node:stream/consumers'
import { Writable } from 'node:stream'
import { refuse } from './output.ts'

/** A new password: twice from the keyboard, unseen; or the first line of what is piped in. */
export async function askForPassword (): Promise<string> {
  if (!process.stdin.isTTY) {
    const [line = ''] = (await readInput()).split(/\r?\n/)
    if (line === '') refuse('No password was given, so nothing was done.')
    return line
  }

  const [first, second] = await askTwice(['Password: ', 'The same again: '])
  if (first !== second) refuse('The two passwords are not the same, so nothing was done.')
  return first
}

async function askTwice (questions: [string, string]): Promise<[string, string]> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const keyboard = createInterface({ input: process.stdin, output: nowhere, terminal: true })

  async function ask (question: string) {
    process.stderr.write(question) // after the line above, which is what hides the keys
    try {
      return await keyboard.question('')
    } finally {
      process.stderr.write('\n')
    }
  }

  try {
    return [await ask(questions[0]), await ask(questions[1])]
  } finally {
    keyboard.close()
  }
}

/** All of the standard input. Ends the command when it is no text. */
export async function readInput (): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await buffer(process.stdin))
  } catch {
    refuse('The standard input is not UTF-8 text, so nothing was done.')
  }
}
