import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

const LONGEST_SESSION_SECONDS = 180 * 86_400

/** A token, and the code that refuses it where that is not `invalid_token`. */
export type Example = string | [token: string, code: string]

interface Surroundings {
  /** The time of the service. */
  seconds: number
  /** The address of a server that must not be asked for keys. */
  elsewhere: string
}

/** Tokens made of a good one that must be refused, by what is wrong with them, and some that must not be. */
export function abusiveTokens (server: FastifyInstance, accessToken: string, { seconds, elsewhere }: Surroundings) {
  const [head = '', body = '', signature = ''] = accessToken.split('.')
  const header = decode(head)
  const claims = decode(body)
  const text = JSON.stringify(claims)
  const { privateKey, publicKey } = server.signingKeys.current()
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const strangersPem = stranger.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const strangersJwk = stranger.publicKey.export({ format: 'jwk' })

  /** Signed with our own key, as nobody else can. */
  const signByUs = (head: string, body: string, key = privateKey) => `${head}.${body}.${sign('sha256', Buffer.from(`${head}.${body}`), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
  const withHeader = (change: object, key?: string) => signByUs(encode({ ...header, ...change }), body, key)
  const withClaims = (change: object) => signByUs(head, encode({ ...claims, ...change }))
  const withoutClaim = (name: string) => signByUs(head, encode({ ...claims, [name]: undefined }))
  const hmac = (change: { alg?: string, kid?: string }, key: string | Buffer) => {
    const content = `${encode({ ...header, alg: 'HS256', ...change })}.${body}`
    return `${content}.${createHmac(change.alg === 'HS512' ? 'sha512' : 'sha256', key).update(content).digest('base64url')}`
  }
  const bytes = Buffer.from(signature, 'base64url')
  const der = sign('sha256', Buffer.from(`${head}.${body}`), privateKey)

  const bad: Record<string, Record<string, Example>> = {
    'an algorithm of the caller\'s choice': {
      none: `${encode({ ...header, alg: 'none' })}.${body}.`,
      'none, and a signature': `${encode({ ...header, alg: 'none' })}.${body}.${signature}`,
      None: `${encode({ ...header, alg: 'None' })}.${body}.`,
      NONE: `${encode({ ...header, alg: 'NONE' })}.${body}.`,
      nOnE: `${encode({ ...header, alg: 'nOnE' })}.${body}.`,
      'none, a comma and ours': `${encode({ ...header, alg: 'none,ES256' })}.${body}.`,
      'the empty one': `${encode({ ...header, alg: '' })}.${body}.`,
      'no alg at all': `${encode({ ...header, alg: undefined })}.${body}.${signature}`,
      null: `${encode({ ...header, alg: null })}.${body}.${signature}`,
      'HS256 under the public key': hmac({}, publicKey),
      'HS256 under the public key, trimmed': hmac({}, publicKey.trim()),
      'HS256 under the published key': hmac({}, JSON.stringify(server.signingKeys.jwks().keys[0])),
      'HS256 under the published key, the members that make it': hmac({}, JSON.stringify(createPublicKey(publicKey).export({ format: 'jwk' }))),
      'HS256 under the published set': hmac({}, JSON.stringify(server.signingKeys.jwks())),
      'HS256 under the public key in DER': hmac({}, createPublicKey(publicKey).export({ type: 'spki', format: 'der' })),
      'HS256 under the public point': hmac({}, createPublicKey(publicKey).export({ type: 'spki', format: 'der' }).subarray(-65)),
      'HS512 under the public key': hmac({ alg: 'HS512' }, publicKey),
      'HS256 under the kid': hmac({}, header.kid),
      'HS256 under nothing': hmac({ kid: '' }, ''),
      ES384: withHeader({ alg: 'ES384' }),
      es256: withHeader({ alg: 'es256' }),
      RS256: withHeader({ alg: 'RS256' })
    },
    'a key of the caller\'s choice': {
      'a stranger\'s, under our kid': withHeader({}, strangersPem),
      'an unknown kid': withHeader({ kid: 'unknown' }, strangersPem),
      'no kid': withHeader({ kid: undefined }),
      'null as kid': withHeader({ kid: null }),
      'a number as kid': withHeader({ kid: 0 }),
      'a list as kid': withHeader({ kid: [header.kid] }),
      'a path as kid': withHeader({ kid: '../../../../dev/null' }, strangersPem),
      'SQL as kid': withHeader({ kid: "' or 1=1 --" }, strangersPem),
      '__proto__ as kid': withHeader({ kid: '__proto__' }, strangersPem),
      'constructor as kid': withHeader({ kid: 'constructor' }, strangersPem),
      'a kid of 5 kB': withHeader({ kid: 'k'.repeat(5000) }, strangersPem),
      'an address as kid': withHeader({ kid: `${elsewhere}/key.pem` }, strangersPem),
      'a kid with a line feed': withHeader({ kid: `${header.kid}\n` }, strangersPem),
      'a kid with a NUL': withHeader({ kid: `${header.kid}\0` }, strangersPem),
      jwk: withHeader({ jwk: strangersJwk }, strangersPem),
      'jwk, without a kid': withHeader({ kid: undefined, jwk: strangersJwk }, strangersPem),
      jku: withHeader({ jku: `${elsewhere}/jwks.json` }, strangersPem),
      x5u: withHeader({ x5u: `${elsewhere}/chain.pem` }, strangersPem),
      x5c: withHeader({ x5c: ['MIIB'] }, strangersPem)
    },
    'our signature under another header': {
      'the same in another order': signByUs(encode({ kid: header.kid, typ: header.typ, alg: header.alg }), body),
      crit: withHeader({ crit: ['exp'] }),
      'an empty crit': withHeader({ crit: [] }),
      'b64: false': withHeader({ b64: false, crit: ['b64'] }),
      zip: withHeader({ zip: 'DEF' }),
      'typ JWT': [withHeader({ typ: 'JWT' }), 'wrong_token_type'],
      'typ rt+jwt': [withHeader({ typ: 'rt+jwt' }), 'wrong_token_type'],
      'typ in capitals': [withHeader({ typ: 'AT+JWT' }), 'wrong_token_type'],
      'typ a list': [withHeader({ typ: ['at+jwt'] }), 'wrong_token_type'],
      'no typ': [withHeader({ typ: undefined }), 'wrong_token_type']
    },
    'a signature that is not whole': {
      none: `${head}.${body}.`,
      'none, nor its dot': `${head}.${body}`,
      'half of it': `${head}.${body}.${bytes.subarray(32).toString('base64url')}`,
      'a single byte': `${head}.${body}.AA`,
      'one character short': `${head}.${body}.${signature.slice(0, -1)}`,
      'one byte short': `${head}.${body}.${bytes.subarray(1).toString('base64url')}`,
      'one byte long': `${head}.${body}.${signature}AA`,
      'one bit off': `${head}.${body}.${Buffer.from([bytes[0]! ^ 1, ...bytes.subarray(1)]).toString('base64url')}`,
      zeroes: `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`,
      'in DER': `${head}.${body}.${der.toString('base64url')}`,
      'with a stray character': `${head}.${body}.!${signature}`,
      'padded twice': `${head}.${body}.${signature}====`
    },
    'what was changed after it was signed': {
      roles: `${head}.${encode({ ...claims, roles: ['admin'] })}.${signature}`,
      sub: `${head}.${encode({ ...claims, sub: 'x'.repeat(22) })}.${signature}`,
      exp: `${head}.${encode({ ...claims, exp: claims.exp + 1 })}.${signature}`
    },
    'what is no token': {
      nothing: '',
      'a dot': '.',
      'two dots': '..',
      'a word': 'token',
      'a header': head,
      'a header and a dot': `${head}.`,
      'a header and a letter': `${head}x`,
      'four parts': `${accessToken}.${signature}`,
      'no header': `.${body}.${signature}`,
      'no payload': `${head}..${signature}`,
      'a header that is no JSON': `${Buffer.from('{').toString('base64url')}.${body}.${signature}`,
      'a header that is null': `${encode(null)}.${body}.${signature}`,
      'a header that is a list': `${encode([])}.${body}.${signature}`,
      JSON: JSON.stringify(claims),
      'a space inside': `${head}. ${body}.${signature}`,
      'a second space before it': ` ${accessToken}`,
      'two tokens': `${accessToken} ${accessToken}`,
      'two tokens and a comma': `${accessToken}, ${accessToken}`,
      'a space after it': `${accessToken} `,
      'a tab after it': `${accessToken}\t`,
      'a line feed after it': `${accessToken}\n`,
      'a line feed inside': `${head}.\n${body}.${signature}`,
      'a space that is none to HTTP': `${accessToken}\u00a0`,
      '8 kB': 'x'.repeat(8192),
      '1 MB': 'x'.repeat(1 << 20),
      'a payload of 1 MB': `${head}.${'x'.repeat(1 << 20)}.${signature}`
    },
    'a payload of ours that is no set of claims': {
      'a list': signByUs(head, encode([claims])),
      null: signByUs(head, encode(null)),
      'a text': signByUs(head, encode('claims')),
      'a number': signByUs(head, encode(42)),
      nothing: signByUs(head, ''),
      'no JSON': signByUs(head, Buffer.from('{').toString('base64url')),
      'an empty object': signByUs(head, encode({}))
    },
    'a payload of ours that is written in another way': {
      'sub twice, ours last': signByUs(head, encodeText(text.replace('{', '{"sub":"somebody",'))),
      'sub twice, ours first': signByUs(head, encodeText(text.replace('}}}', '}},"sub":"somebody"}'))),
      'exp twice': signByUs(head, encodeText(text.replace('{', `{"exp":${seconds + 1},`))),
      'roles twice, one name escaped': signByUs(head, encodeText(text.replace('{', '{"\\u0072oles":["admin"],'))),
      'spaces in it': signByUs(head, encodeText(JSON.stringify(claims, null, 1))),
      'a space before it': signByUs(head, encodeText(` ${text}`)),
      'a byte order mark before it': signByUs(head, encodeText(`\ufeff${text}`)),
      padded: signByUs(head, `${body}==`)
    },
    'claims of ours that are not all of them': Object.fromEntries(Object.keys(claims).map((name) => [name, withoutClaim(name)])),
    'claims of ours for somebody else': {
      'another iss': withClaims({ iss: 'https://evil.example.com' }),
      'iss with a slash': withClaims({ iss: `${claims.iss}/` }),
      'iss as a list': withClaims({ iss: [claims.iss] }),
      'another aud': withClaims({ aud: 'other' }),
      'an empty aud': withClaims({ aud: '' }),
      'aud as an empty list': withClaims({ aud: [] }),
      'aud as a list of others': withClaims({ aud: ['other', 'another'] }),
      'aud as a number': withClaims({ aud: 5 })
    },
    'claims of ours of another type': {
      'sub null': withClaims({ sub: null }),
      'sub empty': withClaims({ sub: '' }),
      'sub an object': withClaims({ sub: {} }),
      'client_id empty': withClaims({ client_id: '' }),
      'jti a number': withClaims({ jti: 1 }),
      'sid a list': withClaims({ sid: [claims.sid] }),
      'roles a text': withClaims({ roles: 'admin' }),
      'roles a list of lists': withClaims({ roles: [['admin']] }),
      'exp a text': withClaims({ exp: String(claims.exp) }),
      'exp null': withClaims({ exp: null }),
      'exp a fraction': withClaims({ exp: claims.exp + 0.5 }),
      'exp beyond all bounds': withClaims({ exp: 1e300 }),
      'iat a text': withClaims({ iat: String(claims.iat) }),
      'iat beyond all bounds': withClaims({ iat: -1e300 }),
      'auth_time a text': withClaims({ auth_time: String(claims.auth_time) }),
      'auth_time true': withClaims({ auth_time: true }),
      'status a text': withClaims({ status: 'valid' }),
      'status null': withClaims({ status: null }),
      'status without a list': withClaims({ status: {} }),
      'status with a list that is null': withClaims({ status: { status_list: null } }),
      'status without a place': withClaims({ status: { status_list: { uri: claims.status.status_list.uri } } }),
      'status with a fraction for a place': withClaims({ status: { status_list: { ...claims.status.status_list, idx: 0.5 } } }),
      'status without an address': withClaims({ status: { status_list: { idx: 0 } } })
    },
    'claims of ours of another time': {
      'exp past': [withClaims({ exp: seconds - 1 }), 'token_expired'],
      'exp now': [withClaims({ exp: seconds }), 'token_expired'],
      'exp at the beginning of time': [withClaims({ exp: 0 }), 'token_expired'],
      'exp before the beginning of time': [withClaims({ exp: -1 }), 'token_expired'],
      'exp in the year 9999': withClaims({ exp: 253_402_300_799 }),
      'exp as far off as whole numbers go': withClaims({ exp: Number.MAX_SAFE_INTEGER }),
      'exp beyond the longest session': withClaims({ exp: seconds + LONGEST_SESSION_SECONDS + 61 }),
      'iat in the future': withClaims({ iat: seconds + 601 }),
      'iat and exp in the future': withClaims({ iat: seconds + 900, exp: seconds + 1800 }),
      'nbf in the future': withClaims({ nbf: seconds + 600 }),
      'nbf in the past': withClaims({ nbf: seconds - 600 }),
      'nbf a text': withClaims({ nbf: 'soon' }),
      'nbf beyond all bounds': withClaims({ nbf: 1e300 })
    }
  }

  const good = [accessToken, signByUs(head, body), withClaims({ iat: seconds + 600 }), withClaims({ exp: seconds + LONGEST_SESSION_SECONDS }), withClaims({ more: true })]
  return { bad, good }
}

function encode (value: unknown): string {
  return encodeText(JSON.stringify(value))
}

function encodeText (text: string): string {
  return Buffer.from(text).toString('base64url')
}

function decode (part: string) {
  return JSON.parse(Buffer.from(part, 'base64url').toString())
}
