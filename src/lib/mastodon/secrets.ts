import { createECDH, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { inRange, type MastodonVersion, type VersionRange } from './version.js'

/** A secret in the app's environment. */
export interface SecretNeed extends VersionRange {
  name: string
  /** Without a mandatory one the app does not start. */
  need: 'mandatory' | 'optional'
  kind: 'hex' | 'vapid' | 'encryption'
  /** What replacing it or losing it breaks. */
  breaks: string
}

const ENCRYPTION =
  'two-factor secrets cannot be read any more, and from 4.7.0 on nor the private keys of local accounts'

const encryption = (name: string): SecretNeed => ({
  name: `ACTIVE_RECORD_ENCRYPTION_${name}`,
  need: 'mandatory',
  kind: 'encryption',
  since: '4.3.0',
  breaks: ENCRYPTION,
})

const OTP = { name: 'OTP_SECRET', kind: 'hex', breaks: 'two-factor secrets cannot be read any more' } as const
const VAPID = { need: 'optional', kind: 'vapid', since: '1.5.0' } as const
const SUBSCRIPTIONS = 'browsers have to subscribe to push messages again'

/** Source: .env.production.sample, config/initializers and lib/tasks/mastodon.rake of each release. */
const SECRETS: readonly SecretNeed[] = [
  { name: 'SECRET_KEY_BASE', need: 'mandatory', kind: 'hex', since: '1.3.0', breaks: 'everybody is signed out' },
  {
    name: 'PAPERCLIP_SECRET',
    need: 'optional',
    kind: 'hex',
    since: '1.3.0',
    before: '2.3.0',
    breaks: 'the addresses of imported files change',
  },
  { ...OTP, need: 'optional', since: '1.3.0', before: '2.3.0' },
  { ...OTP, need: 'mandatory', since: '2.3.0', before: '4.4.0' },
  { ...VAPID, name: 'VAPID_PRIVATE_KEY', breaks: SUBSCRIPTIONS },
  { ...VAPID, name: 'VAPID_PUBLIC_KEY', breaks: SUBSCRIPTIONS },
  encryption('DETERMINISTIC_KEY'),
  encryption('KEY_DERIVATION_SALT'),
  encryption('PRIMARY_KEY'),
]

/** The secrets that a release knows. */
export function secretsOf(version: MastodonVersion): readonly SecretNeed[] {
  return SECRETS.filter(secret => inRange(version, secret))
}

/** The names of the secrets without which a release does not start. */
export function mandatorySecrets(version: MastodonVersion): readonly string[] {
  return secretsOf(version)
    .filter(secret => secret.need === 'mandatory')
    .map(secret => secret.name)
}

/**
 * The names of the secrets that must be set while upgrading. A migration of 4.3.0 (20240307180905) reads the old
 * two-factor secrets with OTP_SECRET, also on the way from before 4.3.0 straight to 4.4.0 or later.
 */
export function secretsForUpgrade(from: MastodonVersion, to: MastodonVersion): readonly string[] {
  const needsOtp = from.before('4.3.0') && to.atLeast('4.3.0')
  return [...new Set([...mandatorySecrets(to), ...(needsOtp ? ['OTP_SECRET'] : [])])]
}

/**
 * Whether the app takes the value for set. An empty encryption key counts as missing (4.3.0 alone took it), and
 * one that ends in DO_NOT_USE_IN_PRODUCTION is refused. Source: config/initializers/active_record_encryption.rb.
 */
export function isUsable(value: string | undefined): boolean {
  return value !== undefined && value !== '' && !value.endsWith('DO_NOT_USE_IN_PRODUCTION')
}

/** Returns 64 random bytes as 128 hexadecimal digits: what `rails secret` makes. */
export function newHexSecret(): string {
  return randomBytes(64).toString('hex')
}

const ALPHANUMERICS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

function alphanumerics(length: number): string {
  return Array.from({ length }, () => ALPHANUMERICS.charAt(randomInt(ALPHANUMERICS.length))).join('')
}

/** Returns the three encryption keys by name, 32 letters and digits each: what `rails db:encryption:init` makes. */
export function newEncryptionKeys(): Record<string, string> {
  const names = SECRETS.filter(secret => secret.kind === 'encryption').map(secret => secret.name)
  return Object.fromEntries(names.map(name => [name, alphanumerics(32)]))
}

export interface VapidPair {
  /** 44 characters, padded URL-safe base64 of 32 bytes. */
  privateKey: string
  /** 88 characters, padded URL-safe base64 of the 65 bytes of an uncompressed point. */
  publicKey: string
}

const urlsafe = (bytes: Buffer) => bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
const bytesOf = (text: string) => Buffer.from(text, 'base64url')

/** ECDH drops leading zero bytes of a private key, which one in 256 has. */
function padded(key: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(32 - key.length), key])
}

/**
 * Makes a pair of VAPID keys as Mastodon's own task writes them, with padding; JavaScript libraries want it stripped.
 * Not by generateKeyPairSync and a JWK: in Node.js 20 that waits for ever on a lock when memory is collected during
 * the export.
 */
export function newVapidPair(): VapidPair {
  const ecdh = createECDH('prime256v1')
  const point = ecdh.generateKeys()
  return { privateKey: urlsafe(padded(ecdh.getPrivateKey())), publicKey: urlsafe(point) }
}

/** Returns the public key, padded, that belongs to a private one; undefined for what is no private key. */
export function vapidPublicKey(privateKey: string): string | undefined {
  const secret = bytesOf(privateKey)
  if (secret.length !== 32) return undefined
  const ecdh = createECDH('prime256v1')
  try {
    ecdh.setPrivateKey(secret)
  } catch {
    return undefined
  }
  return urlsafe(ecdh.getPublicKey())
}

/** Whether the public key belongs to the private key. Padding does not matter. False for what is no key. */
export function isVapidPair({ privateKey, publicKey }: VapidPair): boolean {
  const right = bytesOf(vapidPublicKey(privateKey) ?? '')
  const given = bytesOf(publicKey)
  return right.length > 0 && right.length === given.length && timingSafeEqual(right, given)
}

const SECRET_WORDS = /^(PASS|PASSWD|PWD|KEYS?|SALT|DSN|PRIVATE|COOKIES?|PROXY)$/
const SECRET_PARTS = /SECRET|PASSW|PASSPHRASE|TOKEN|APIKEY|ACCESSKEY|CREDENTIAL|PRIVATEKEY|SELF_DESTRUCT/
/** Addresses that carry a password in front of the host. */
const SECRET_ADDRESS = /(^|_)(DATABASE|REDIS|POSTGRES|PG|AMQP|SMTP|ELASTICSEARCH|ES|DB).*_(URL|URI)$/
/** The directory that a shell is in. */
const PLAIN_NAMES = new Set(['PWD', 'OLDPWD'])

/**
 * Whether the value of an environment variable must never be shown. Errs on the side of secrecy: a key's id counts
 * too. A public key does not.
 */
export function isSecretName(name: string): boolean {
  const upper = name.toUpperCase().replaceAll(/[-.]/g, '_')
  const words = upper.split('_')
  if (PLAIN_NAMES.has(upper) || words.includes('PUBLIC')) return false
  return SECRET_PARTS.test(upper) || SECRET_ADDRESS.test(upper) || words.some(word => SECRET_WORDS.test(word))
}
