import { createDecipheriv, pbkdf2Sync } from 'node:crypto'
import type { Statement } from './statement.js'

/** A value that Devise's two-factor module sealed with OTP_SECRET, in its three columns. */
export interface LegacySealed {
  secret: string
  iv: string | null
  salt: string | null
}

const TAG = 16
const NONCE = 12
/** Of ActiveSupport's key generator, which Active Record asks: Rails 7.1 and 8.0, key_generator.rb. */
const RAILS_ROUNDS = 2 ** 16
/** SHA-256 since the defaults of Rails 7.1; SHA-1 before. */
const RAILS_DIGESTS = ['sha256', 'sha1']
/** Of the gem encryptor. Source: db/post_migrate/20240307180905 @v4.3.0. */
const LEGACY_ROUNDS = 2_000
/** More would only take longer: one key seals them all. */
const MOST = 1_000

/** Returns the keys that Rails may have derived for its column encryption; takes about 50 ms. */
export function railsKeys(primaryKey: string, salt: string): Buffer[] {
  return RAILS_DIGESTS.map(digest => pbkdf2Sync(primaryKey, salt, RAILS_ROUNDS, 32, digest))
}

/**
 * Whether one of the keys opens what Active Record sealed: a JSON of payload `p` and headers `h`, among them `iv` and the
 * tag `at`, each in base64. Undefined for what is of another form. Source: Rails 7.1, message_serializer.rb.
 */
export function opensByRails(text: string, keys: readonly Buffer[]): boolean | undefined {
  const sealed = railsSealed(text)
  return sealed && keys.some(key => opens(sealed, key))
}

/** Whether OTP_SECRET opens the value; undefined where it is of another form. */
export function opensByOtpSecret({ secret, iv, salt }: LegacySealed, otpSecret: string): boolean | undefined {
  const whole = loose(secret)
  const sealed = { payload: whole.subarray(0, -TAG), tag: whole.subarray(-TAG), iv: loose(iv ?? '') }
  // A column that holds only the salt's mark has none.
  const seasoning = loose(salt ?? '')
  if (whole.length <= TAG || sealed.iv.length !== NONCE || seasoning.length === 0) return undefined
  return opens(sealed, pbkdf2Sync(otpSecret, seasoning, LEGACY_ROUNDS, 32, 'sha1'))
}

interface Sealed {
  payload: Buffer
  iv: Buffer
  tag: Buffer
}

function railsSealed(text: string): Sealed | undefined {
  try {
    const { p, h } = JSON.parse(text) as { p?: unknown; h?: { iv?: unknown; at?: unknown } }
    if (typeof p !== 'string' || typeof h?.iv !== 'string' || typeof h.at !== 'string') return undefined
    const [payload, iv, tag] = [p, h.iv, h.at].map(part => Buffer.from(part, 'base64')) as [Buffer, Buffer, Buffer]
    return iv.length === NONCE && tag.length === TAG ? { payload, iv, tag } : undefined
  } catch {
    return undefined
  }
}

/** AES-256-GCM: only the right key gives the right tag. What comes out is thrown away. */
function opens({ payload, iv, tag }: Sealed, key: Buffer): boolean {
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG })
  decipher.setAuthTag(tag)
  try {
    decipher.update(payload).fill(0)
    decipher.final()
    return true
  } catch {
    return false
  }
}

/** Ruby's Base64.decode64 passes over what is no letter of it, like the `_` in front of a salt; Node.js reads that as `/`. */
function loose(text: string): Buffer {
  return Buffer.from(text.replaceAll(/[^A-Za-z0-9+/]/g, ''), 'base64')
}

/** Which of the places there are: one row of {rails, legacy, keypairs}. */
export const SEALED_PLACES: Statement = {
  sql: `SELECT count(*) FILTER (WHERE column_name = 'otp_secret') > 0 AS rails,
  count(*) FILTER (WHERE column_name = 'encrypted_otp_secret') > 0 AS legacy,
  to_regclass('keypairs') IS NOT NULL AS keypairs
FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = 'users'`,
  params: [],
}

/** Two-factor secrets in use that Active Record sealed: rows of {sealed}. */
export const SEALED_BY_RAILS: Statement = {
  sql: `SELECT otp_secret AS sealed FROM users WHERE otp_required_for_login AND otp_secret IS NOT NULL
ORDER BY id DESC LIMIT ${MOST}`,
  params: [],
}

/** Private keys of local accounts: rows of {sealed}. Up to 4.6 they may stand in clear. */
export const SEALED_PRIVATE_KEYS: Statement = {
  sql: `SELECT k.private_key AS sealed FROM keypairs k JOIN accounts a ON a.id = k.account_id
WHERE a.domain IS NULL AND k.private_key IS NOT NULL ORDER BY k.id DESC LIMIT ${MOST}`,
  params: [],
}

/** Two-factor secrets in use that only OTP_SECRET opens: rows of {@link LegacySealed}. */
export function sealedByOtpSecret(alsoRails: boolean): Statement {
  return {
    sql: `SELECT encrypted_otp_secret AS secret, encrypted_otp_secret_iv AS iv, encrypted_otp_secret_salt AS salt
FROM users WHERE otp_required_for_login AND encrypted_otp_secret IS NOT NULL${alsoRails ? ' AND otp_secret IS NULL' : ''}
ORDER BY id DESC LIMIT ${MOST}`,
    params: [],
  }
}
