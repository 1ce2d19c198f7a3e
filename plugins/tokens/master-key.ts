import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, randomBytes } from 'node:crypto'
import { existsSync, linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import fp from 'fastify-plugin'
import type { KeyObject } from 'node:crypto'
import type { FastifyPluginAsync } from 'fastify'

const WRONG_FILE = 'The file master.key beside the database should hold 32 bytes in base64. Restore it.'
const OR_SET = 'or set MASTER_KEY to what was in it.'
const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16

declare module 'fastify' {
  interface FastifyInstance { masterKey: MasterKey }
}

export interface MasterKey {
  /**
   * Derives a key of 32 bytes for one purpose (HKDF, RFC 5869), always the same for the same purpose. Keep it: deriving
   * costs ten times what using it does.
   */
  derive: (purpose: string) => KeyObject
  /** Encrypts (AES-256-GCM), bound to `context`: a secret that was sealed for one row opens for no other. */
  seal: (secret: string, context: string) => Buffer
  /** Decrypts. Throws when the master key or the context is another one, or a bit was changed. */
  open: (sealed: Buffer, context: string) => string
}

/** The file of the key when MASTER_KEY is not set: beside the database. */
export function masterKeyFile (databaseFile: string): string {
  return join(dirname(databaseFile), 'master.key')
}

/**
 * Makes a master key of 32 bytes in base64.
 * @throws Error with `code: 'wrong_setting'` when it is not one
 */
export function createMasterKey (text: string): MasterKey {
  const root = Buffer.from(text, 'base64')
  if (root.length !== KEY_BYTES) throw wrongKey(WRONG_FILE)

  function derive (purpose: string): KeyObject {
    return createSecretKey(Buffer.from(hkdfSync('sha256', root, '', `postern ${purpose}`, KEY_BYTES)))
  }

  const sealingKey = derive('sealing')

  return {
    derive,

    seal (secret, context) {
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv('aes-256-gcm', sealingKey, iv).setAAD(Buffer.from(context))
      const body = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
      return Buffer.concat([iv, cipher.getAuthTag(), body])
    },

    open (sealed, context) {
      const iv = sealed.subarray(0, IV_BYTES)
      const tag = sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES)
      const decipher = createDecipheriv('aes-256-gcm', sealingKey, iv, { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(context)).setAuthTag(tag)
      return decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
    }
  }
}

/**
 * The one secret that all others depend on: MASTER_KEY, or a file beside the database. The first start makes the file. Beside
 * a database with keys or accounts it is never made: they are of no use with another one.
 */
const masterKey: FastifyPluginAsync<{ isMaker?: boolean }> = async (fastify, { isMaker = true }) => {
  const { config, db } = fastify

  async function isNew () {
    return (await db.signingKeys.list()).length === 0 && (await db.users.list({ limit: 1 })).length === 0
  }

  async function readOrCreate (path: string) {
    if (isMaker && !existsSync(path) && await isNew()) createFile(path)
    return readFile(path)
  }

  const text = config.masterKey ?? (db.file ? await readOrCreate(masterKeyFile(db.file)) : generateKey())
  fastify.decorate('masterKey', createMasterKey(text))
}

function generateKey (): string {
  return randomBytes(KEY_BYTES).toString('base64')
}

/** Makes the key file. It appears whole or not at all; a process that comes second leaves the first one's. */
function createFile (path: string) {
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, generateKey(), { mode: 0o600, flush: true })
  try {
    linkSync(draft, path)
  } catch {
    // It is there already. If anything else failed, there is nothing to read afterwards.
  } finally {
    unlinkSync(draft)
  }
}

function readFile (path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException // Node's own
    if (code === 'ENOENT') throw wrongKey(`The master key of the database, the file ${path}, is missing. Restore it, ${OR_SET}`)
    throw wrongKey(`The file ${path} cannot be read (${message}). Give it back to the user who runs Postern, ${OR_SET}`)
  }
}

function wrongKey (sentence: string): Error {
  return Object.assign(new Error(sentence), { code: 'wrong_setting' })
}

export default fp(masterKey, { name: 'master-key', dependencies: ['config', 'database'] })
