import { availableParallelism, totalmem } from 'node:os'
import { MIB, ok, warn } from './findings.ts'
import type { RecordedState } from '../plugins/core/database.ts'
import type { Config } from '../plugins/core/config/index.ts'
import type { Finding, Surroundings } from './findings.ts'

const KIB = 2 ** 10
const LEAST_DISTINCT_BYTES = 16
const OWASP_MEMORY_KIB_TIMES_PASSES = 7168 * 5 // the least of those that it takes for equal

type Machine = Pick<Surroundings, 'cores' | 'memoryBytes'>
type Check = [isWrong: boolean, fault: string, advice: string]

/** Settings that are valid, and yet wrong for a service that the world uses. */
export function examineSettings (config: Config, surroundings: Partial<Surroundings> = {}, state: RecordedState = {}): Finding[] {
  const { cores = availableParallelism(), memoryBytes = totalmem() } = surroundings
  const checks = [
    ...issuerChecks(config),
    ...gatewayChecks(config, state),
    secretCheck(config),
    ...capacityChecks(config, { cores, memoryBytes }),
    ...guessingChecks(config)
  ]
  const warnings = checks.filter(([isWrong]) => isWrong).map(([, fault, advice]) => warn('settings', fault, advice))
  return warnings.length > 0 ? warnings : [ok('settings', 'fit for production')]
}

function issuerChecks ({ issuer, issuerIsChosen, host }: Config): Check[] {
  const isDefault = !issuerIsChosen || issuer.startsWith(`http://${host}:`)
  return [
    [
      isDefault,
      issuerIsChosen ? `ISSUER is ${issuer}, an address of this machine.` : `ISSUER is not set: tokens name ${issuer} as their issuer.`,
      'Set it to the address under which the world reaches Postern.'
    ],
    [
      !isDefault && /^http:\/\/(?!localhost|127\.|\[::1\])/.test(issuer),
      'ISSUER begins with http: tokens travel unencrypted.',
      'Let a gateway speak https, and set ISSUER to its https address.'
    ]
  ]
}

function gatewayChecks (config: Config, state: RecordedState): Check[] {
  const sign = signOfGateway(config, state)
  return [
    [
      sign !== undefined && config.trustProxy.length === 0,
      `${sign} and TRUST_PROXY is not set: behind a gateway, rate limits count the gateway instead of its clients.`,
      'Set TRUST_PROXY to the gateway\'s addresses.'
    ],
    [
      config.trustProxy.some((range) => range.endsWith('/0')),
      'TRUST_PROXY trusts everybody: any client can choose the address that rate limits count.',
      'Name only the gateways.'
    ]
  ]
}

/** The beginning of a sentence that says why a gateway seems to stand before the service. */
function signOfGateway ({ host, issuer }: Config, { UNTRUSTED_GATEWAY: address }: RecordedState): string | undefined {
  if (address !== undefined) return `Requests from ${address} brought X-Forwarded-For,`
  if (!['127.0.0.1', '::1', 'localhost'].includes(host)) return `HOST is ${host}`
  if (issuer.startsWith('https:')) return 'ISSUER is an https address, which only a gateway can serve,'
}

function secretCheck ({ jwtSecret }: Config): Check {
  return [
    jwtSecret !== undefined && new Set(Buffer.from(jwtSecret)).size < LEAST_DISTINCT_BYTES,
    'JWT_SECRET repeats few characters: whoever guesses it can sign tokens.',
    'Make one with "openssl rand -base64 32".'
  ]
}

function capacityChecks ({ workers, argon2 }: Config, { cores, memoryBytes }: Machine): Check[] {
  const hashing = workers * argon2.threads * argon2.memoryCost * KIB
  return [
    [
      workers > cores,
      `WORKERS is ${workers} on ${cores} cores: they wait for each other.`,
      `Set it to ${cores} at most.`
    ],
    [
      hashing > memoryBytes / 2,
      `Hashing passwords can take ${Math.round(hashing / MIB)} MiB of ${Math.round(memoryBytes / MIB)}.`,
      'Lower WORKERS, ARGON2_THREADS or ARGON2_MEMORY_KIB.'
    ]
  ]
}

function guessingChecks ({ argon2, rateLimit }: Config): Check[] {
  return [
    [
      argon2.memoryCost * argon2.timeCost < OWASP_MEMORY_KIB_TIMES_PASSES,
      'ARGON2_MEMORY_KIB and ARGON2_TIME_COST are below what OWASP recommends: ' +
        'the passwords of a stolen database are guessed sooner.',
      'Remove them to get the defaults.'
    ],
    [
      rateLimit === false,
      'RATE_LIMIT is off: passwords can be guessed as fast as they are hashed.',
      'Remove it.'
    ]
  ]
}
