import { existsSync, readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'

const FILE = '.env'

/** Names that Node, OpenTelemetry and the system read themselves. */
const OF_OTHERS = /^(NODE|OTEL|UV|SSL|LC)_|^(TZ|LANG|DEBUG|PATH|HOME)$/i

const MOST_TYPOS = 3

/**
 * Reads .env, if there is one, into the environment, which takes precedence. Gives the names in it.
 * @throws Error with `code: 'wrong_setting'` and a sentence when it cannot be read as text
 */
export function loadEnvFile (environment = process.env): string[] {
  if (!existsSync(FILE)) return []
  const values = parseEnv(readText())
  for (const [name, value] of Object.entries(values)) environment[name] ??= value
  return Object.keys(values)
}

function readText (): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(FILE)) // without a byte order mark
  } catch (error) {
    const sentence = `The file ${FILE} cannot be read as UTF-8 text (${(error as Error).message}).` // Node's own, or the decoder's
    throw Object.assign(new Error(sentence), { code: 'wrong_setting' })
  }
}

/** A sentence for each of the names that is no setting, with the setting that is most like it. */
export function findMisspelt (names: string[], settings: string[]): string[] {
  const unknown = names.filter((name) => !settings.includes(name) && !OF_OTHERS.test(name))
  return unknown.map((name) => {
    const [nearest] = settings
      .map((setting) => ({ setting, typos: distance(name.toUpperCase(), setting) }))
      .sort((a, b) => a.typos - b.typos)
    const hint = nearest && nearest.typos <= Math.min(MOST_TYPOS, name.length / 3) ? ` Do you mean ${nearest.setting}?` : ''
    return `${name} in ${FILE} is no setting of Postern, and is ignored.${hint}`
  })
}

/** The letters to insert, delete or replace to make one word of another (Levenshtein). */
function distance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1) // inside the row
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]! // the row is as long as the word
}
