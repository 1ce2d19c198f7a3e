// A thread that only runs argon2id, and reports its verifies per second.
import { parentPort, workerData } from 'node:worker_threads'
import { verifySync } from '@node-rs/argon2'
import { alone } from './alone.ts'

const { password, passwordHash, seconds } = workerData as { password: string, passwordHash: string, seconds: number }
parentPort?.postMessage(alone(() => { verifySync(passwordHash, password) }, seconds).rate)
