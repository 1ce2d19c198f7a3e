import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, randomBytes } from 'node:crypto'
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import fp from 'fastify-plugin'
import type { KeyObject } from 'node:crypto'
import type { FastifyPluginAsync } from 'fastify'

const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16

declare module 'fastify' {
  interface FastifyInstance { masterKey: MasterKey }
}

export interface MasterKey {
  /** A key of 32 bytes for one purpose (HKDF, RFC 5869): always the same for the same purpose. Keep it: using it costs a tenth of what making it does. */
  derive: (purpose: string) => KeyObject
  /** Encrypts (AES-256-GCM), bound to `context`: what was sealed for one row opens for no other. */
  seal: (secret: string, context: string) => Buffer
  /** Gives back what was sealed; throws when the master key or the context is another one, or a bit was changed. */
  open: (sealed: Buffer, context: string) => string
}

/** Where the key is kept when MASTER_KEY is not set: beside the database. */
export function masterKeyFile (databaseFile: string): string {
  return join(dirname(databaseFile), 'master.key')
}

/**
 * What can be done with the key in `text`, which is base64.
 * @throws Error with `code: 'wrong_setting'` when it is not one
 */
export function masterKeyOf (text: string): MasterKey {
  const root = Buffer.from(text, 'base64')
  if (root.length !== KEY_BYTES) throw Object.assign(new Error('The file master.key beside the database should hold 32 bytes in base64: restore it.'), { code: 'wrong_setting' })

  function derive (purpose: string): KeyObject {
    return createSecretKey(Buffer.from(hkdfSync('sha256', root, '', `postern ${purpose}`, KEY_BYTES)))
  }

  const sealing = derive('sealing')

  return {
    derive,

    seal (secret, context) {
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv('aes-256-gcm', sealing, iv).setAAD(Buffer.from(context))
      const body = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
      return Buffer.concat([iv, cipher.getAuthTag(), body])
    },

    open (sealed, context) {
      const iv = sealed.subarray(0, IV_BYTES)
      const tag = sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES)
      const decipher = createDecipheriv('aes-256-gcm', sealing, iv, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(context)).setAuthTag(tag)
      return decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
    }
  }
}

/** The one secret that all others hang on: MASTER_KEY, or a file beside the database that is made on the first start. */
const masterKey: FastifyPluginAsync = async (fastify) => {
  const { config, db } = fastify
  fastify.decorate('masterKey', masterKeyOf(config.masterKey ?? (db.file ? keptIn(masterKeyFile(db.file)) : newKey())))
}

function newKey (): string {
  return randomBytes(KEY_BYTES).toString('base64')
}

/** The key in `path`. It appears there whole or not at all, and whoever comes second takes what is there. */
function keptIn (path: string): string {
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, newKey(), { mode: 0o600, flush: true })
  try {
    linkSync(draft, path)
  } catch {
    // It is there already. Were it anything else, there is nothing to read below.
  } finally {
    unlinkSync(draft)
  }
  return readFileSync(path, 'utf8')
}

export default fp(masterKey, { name: 'master-key', dependencies: ['config', 'db'] })
