import { createECDH } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  isSecretName,
  isUsable,
  isVapidPair,
  mandatorySecrets,
  newEncryptionKeys,
  newHexSecret,
  newVapidPair,
  secretsForUpgrade,
  secretsOf,
} from '../../../src/lib/mastodon/secrets.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'

const { of } = MastodonVersion
const ENCRYPTION = ['DETERMINISTIC_KEY', 'KEY_DERIVATION_SALT', 'PRIMARY_KEY'].map(
  name => `ACTIVE_RECORD_ENCRYPTION_${name}`,
)

describe('VAPID', () => {
  test('10,000 pairs are of full length, padded, and differ', () => {
    const seen = new Set<string>()
    for (let made = 0; made < 10_000; made++) {
      const { privateKey, publicKey } = newVapidPair()
      if (!/^[\w-]{43}=$/.test(privateKey)) throw new Error('a private key is not 44 characters')
      if (!/^B[\w-]{86}=$/.test(publicKey)) throw new Error('a public key is not 88 characters')
      seen.add(privateKey)
    }
    expect(seen.size).toBe(10_000)
  })

  test('the public key belongs to the private key', () => {
    for (let made = 0; made < 600; made++) {
      const { privateKey, publicKey } = newVapidPair()
      const ecdh = createECDH('prime256v1')
      ecdh.setPrivateKey(Buffer.from(privateKey, 'base64url'))
      expect(ecdh.getPublicKey('base64url')).toBe(publicKey.replace('=', ''))
    }
  })

  test('pairs are told from what is none', () => {
    const [one, other] = [newVapidPair(), newVapidPair()]
    const bare = { privateKey: one.privateKey.replace('=', ''), publicKey: one.publicKey.replace('=', '') }
    expect(isVapidPair(one)).toBe(true)
    expect(isVapidPair(bare)).toBe(true)
    expect(isVapidPair({ ...one, publicKey: other.publicKey })).toBe(false)
    expect(isVapidPair({ privateKey: one.publicKey, publicKey: one.privateKey })).toBe(false)
    expect(isVapidPair({ privateKey: '', publicKey: '' })).toBe(false)
    expect(isVapidPair({ ...one, privateKey: `${'A'.repeat(43)}=` })).toBe(false)
  })
})

test('a secret is 64 bytes in hexadecimal digits', () => {
  expect(newHexSecret()).toMatch(/^[0-9a-f]{128}$/)
  expect(newHexSecret()).not.toBe(newHexSecret())
})

test('the encryption keys are three times 32 letters and digits, all different', () => {
  const keys = newEncryptionKeys()
  expect(Object.keys(keys)).toEqual(ENCRYPTION)
  for (const key of Object.values(keys)) expect(key).toMatch(/^[A-Za-z0-9]{32}$/)
  expect(new Set(Object.values(keys)).size).toBe(3)
})

describe('which secrets a release needs', () => {
  test.each([
    ['1.3.0', ['SECRET_KEY_BASE']],
    ['2.2.0', ['SECRET_KEY_BASE']],
    ['2.3.0', ['SECRET_KEY_BASE', 'OTP_SECRET']],
    ['4.2.9', ['SECRET_KEY_BASE', 'OTP_SECRET']],
    ['4.3.8', ['SECRET_KEY_BASE', 'OTP_SECRET', ...ENCRYPTION]],
    ['4.4.0', ['SECRET_KEY_BASE', ...ENCRYPTION]],
    ['4.7.2', ['SECRET_KEY_BASE', ...ENCRYPTION]],
  ])('%s cannot do without %o', (version, names) => {
    expect(mandatorySecrets(of(version))).toEqual(names)
  })

  test.each([
    ['1.4.7', ['PAPERCLIP_SECRET', 'OTP_SECRET']],
    ['1.5.1', ['PAPERCLIP_SECRET', 'OTP_SECRET', 'VAPID_PRIVATE_KEY', 'VAPID_PUBLIC_KEY']],
    ['4.5.3', ['VAPID_PRIVATE_KEY', 'VAPID_PUBLIC_KEY']],
  ])('%s starts without %o', (version, names) => {
    const optional = secretsOf(of(version)).filter(secret => secret.need === 'optional')
    expect(optional.map(secret => secret.name)).toEqual(names)
  })

  test('OTP_SECRET is needed on the way over 4.3.0, and not from there', () => {
    expect(secretsForUpgrade(of('4.2.9'), of('4.4.0'))).toContain('OTP_SECRET')
    expect(secretsForUpgrade(of('3.5.13'), of('4.7.2'))).toContain('OTP_SECRET')
    expect(secretsForUpgrade(of('4.3.8'), of('4.4.0'))).not.toContain('OTP_SECRET')
    expect(secretsForUpgrade(of('4.2.9'), of('4.3.8')).filter(name => name === 'OTP_SECRET')).toHaveLength(1)
  })

  test('an empty value and one made for development count as missing', () => {
    expect([undefined, '', 'x_DO_NOT_USE_IN_PRODUCTION', 'abc'].map(isUsable)).toEqual([false, false, false, true])
  })
})

describe('isSecretName', () => {
  test.each([
    ...['SECRET_KEY_BASE', 'OTP_SECRET', 'PAPERCLIP_SECRET', 'VAPID_PRIVATE_KEY', ...ENCRYPTION, 'SELF_DESTRUCT'],
    ...['DB_PASS', 'REDIS_PASSWORD', 'SMTP_PASSWORD', 'ES_PASS', 'POSTGRES_PASSWORD', 'PGPASSWORD', 'LDAP_PASSWORD'],
    ...['DATABASE_URL', 'REDIS_URL', 'SIDEKIQ_REDIS_URL', 'CACHE_REDIS_URL', 'REPLICA_DATABASE_URL'],
    ...['HEROKU_POSTGRESQL_AMBER_URL', 'REDIS_TLS_URL', 'AWS_SECRET_ACCESS_KEY', 'AWS_ACCESS_KEY_ID', 'HEROKU_API_KEY'],
    ...['OIDC_CLIENT_SECRET', 'SAML_PRIVATE_KEY', 'HCAPTCHA_SECRET_KEY', 'DEEPL_API_KEY', 'SENTRY_DSN', 'GITHUB_TOKEN'],
    ...['SWIFT_PASSWORD', 'AZURE_STORAGE_ACCESS_KEY', 'db_pass', 'Api-Key', 'https_proxy', 'MY_APIKEY'],
  ])('%s is secret', name => {
    expect(isSecretName(name)).toBe(true)
  })

  test.each([
    ...['LOCAL_DOMAIN', 'WEB_DOMAIN', 'DB_HOST', 'DB_USER', 'DB_NAME', 'DB_PORT', 'REDIS_HOST', 'REDIS_NAMESPACE'],
    ...['VAPID_PUBLIC_KEY', 'S3_BUCKET', 'S3_ALIAS_HOST', 'RAILS_ENV', 'SMTP_SERVER', 'SMTP_AUTH_METHOD', 'ES_ENABLED'],
    ...['STREAMING_API_BASE_URL', 'UPDATE_CHECK_URL', 'PATH', 'PWD', 'OLDPWD', 'SINGLE_USER_MODE', 'CDN_HOST'],
    ...['PAPERCLIP_ROOT_URL', 'PAPERCLIP_ROOT_PATH', 'WEB_CONCURRENCY', 'MAX_THREADS', ''],
  ])('%s is not', name => {
    expect(isSecretName(name)).toBe(false)
  })

  test('every secret of every release is covered', () => {
    for (const version of ['1.3.0', '1.5.1', '4.3.8', '4.7.2'])
      for (const { name } of secretsOf(of(version)))
        expect([name, isSecretName(name)]).toEqual([name, !/PUBLIC/.test(name)])
  })
})
