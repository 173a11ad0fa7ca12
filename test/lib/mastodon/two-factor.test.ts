import { describe, expect, test } from 'vitest'
import {
  disableTwoFactor,
  isChallenged,
  isTwoFactorOff,
  readTwoFactor,
  twoFactorShape,
} from '../../../src/lib/mastodon/two-factor.js'
import { findUser } from '../../../src/lib/mastodon/users.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'

const { of } = MastodonVersion
const LEGACY = 'encrypted_otp_secret = NULL, encrypted_otp_secret_iv = NULL, encrypted_otp_secret_salt = NULL'
const HEAD = 'UPDATE users SET otp_required_for_login = false, otp_backup_codes = NULL'
const TAIL = 'consumed_timestep = NULL WHERE id = $1'
const KEYS = 'DELETE FROM webauthn_credentials WHERE user_id = $1'

describe('disableTwoFactor', () => {
  test.each([
    ['1.3.0', [`${HEAD}, ${LEGACY}, ${TAIL}`]],
    ['2.9.4', [`${HEAD}, ${LEGACY}, ${TAIL}`]],
    ['3.2.2', [`${HEAD}, ${LEGACY}, ${TAIL}`]],
    ['3.3.0', [`${HEAD}, ${LEGACY}, ${TAIL}`, KEYS]],
    ['4.2.9', [`${HEAD}, ${LEGACY}, ${TAIL}`, KEYS]],
    ['4.3.8', [`${HEAD}, ${LEGACY}, otp_secret = NULL, ${TAIL}`, KEYS]],
    ['4.4.0', [`${HEAD}, otp_secret = NULL, ${TAIL}`, KEYS]],
    ['4.7.2', [`${HEAD}, otp_secret = NULL, ${TAIL}`, KEYS]],
  ])('%s', (version, sql) => {
    expect(disableTwoFactor(of(version), '7')).toEqual(sql.map(text => ({ sql: text, params: ['7'] })))
  })

  test('the id never stands in the text', () => {
    for (const { sql } of disableTwoFactor(of('4.5.3'), '7; DROP TABLE users')) expect(sql).not.toContain('DROP')
  })
})

describe('readTwoFactor looks at all that disableTwoFactor clears', () => {
  test.each(['1.3.0', '3.3.0', '4.3.8', '4.7.2'])('%s', version => {
    const { sql, params } = readTwoFactor(of(version), '7')
    for (const column of twoFactorShape(of(version)).secretColumns) expect(sql).toContain(`u.${column} IS NOT NULL`)
    expect(sql.includes('webauthn_credentials')).toBe(of(version).atLeast('3.3.0'))
    expect(sql.includes('require_2fa')).toBe(of(version).atLeast('4.6.0'))
    expect(params).toEqual(['7'])
  })
})

describe('the answer', () => {
  const off = { required: false, backup_codes: 0, has_secret: false, security_keys: 0, forced: false }

  test('is off only when nothing is left', () => {
    expect(isTwoFactorOff(off)).toBe(true)
    expect(isTwoFactorOff({ ...off, forced: true })).toBe(true)
    for (const left of [{ required: true }, { backup_codes: 1 }, { has_secret: true }, { security_keys: 1 }])
      expect(isTwoFactorOff({ ...off, ...left })).toBe(false)
  })

  test('a security key alone is still asked for', () => {
    expect(isChallenged({ ...off, security_keys: 1 })).toBe(true)
    expect(isChallenged({ ...off, has_secret: true, backup_codes: 5 })).toBe(false)
  })
})

describe('findUser', () => {
  test('by name, without case, among local accounts', () => {
    const { sql, params } = findUser(of('4.5.3'), '@Alice')
    expect(sql).toContain('a.domain IS NULL AND lower(a.username) = lower($1)')
    expect(params).toEqual(['Alice'])
  })

  test('by e-mail address', () => {
    const { sql, params } = findUser(of('4.5.3'), 'alice@example.com')
    expect(sql).toContain('lower(u.email) = lower($1)')
    expect(params).toEqual(['alice@example.com'])
  })

  test('approval is asked for from 2.8.0 on', () => {
    expect(findUser(of('2.7.4'), 'alice').sql).toContain('true AS approved')
    expect(findUser(of('2.8.0'), 'alice').sql).toContain('u.approved AS approved')
  })
})
