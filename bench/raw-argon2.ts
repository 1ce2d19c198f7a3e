// A thread that does nothing but argon2id, and says how many verifies a second it got done.
import { parentPort, workerData } from 'node:worker_threads'
import { verifySync } from '@node-rs/argon2'
import { alone } from './alone.ts'

const { password, passwordHash, seconds } = workerData as { password: string, passwordHash: string, seconds: number }
parentPort?.postMessage(alone(() => { verifySync(passwordHash, password) }, seconds).rate)
