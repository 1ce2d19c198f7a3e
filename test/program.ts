import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MOST_SEEDS = 1e9

/** A whole number from the environment, such as STEPS or SEED. */
export function numberFrom (name: string, standard: number): number {
  const { [name]: text = String(standard) } = process.env
  if (!/^\d+$/.test(text)) throw new Error(`${name} is "${text}" but should be a whole number.`)
  return Number(text)
}

/** What the chances of a run are made of: SEED, or any. */
export function seedFromEnvironment (): number {
  return numberFrom('SEED', Math.floor(Math.random() * MOST_SEEDS))
}

/** A folder for as long as the program runs. */
export function temporaryFolder (): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Writes over the last line where somebody looks on. */
export function showProgress (text: string) {
  if (process.stderr.isTTY) process.stderr.write(`\r${text} `)
}
