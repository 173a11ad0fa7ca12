import { describe, expect, it } from 'vitest'
import { opensByOtpSecret, opensByRails, railsKeys } from '../../../src/lib/mastodon/sealed.js'
import { LEGACY, OTP, PRIMARY, RAILS, SALT } from '../../support/sealed-values.js'

const right = railsKeys(PRIMARY, SALT)

describe('what Active Record 7.1 has sealed', () => {
  it.each(Object.entries(RAILS))('%s opens with its keys alone', (_name, text) => {
    expect(opensByRails(text, right)).toBe(true)
    expect(opensByRails(text, railsKeys(SALT, PRIMARY))).toBe(false)
  })

  it('does not open once a bit was changed', () => {
    const value = JSON.parse(RAILS.sha256) as { p: string }
    expect(opensByRails(JSON.stringify({ ...value, p: `A${value.p.slice(1)}` }), right)).toBe(false)
  })

  it.each([
    ['a PEM', '-----BEGIN RSA PRIVATE KEY-----'],
    ['an empty text', ''],
    ['JSON of another kind', '{"p":1}'],
    ['null', 'null'],
    ['a tag that is cut', JSON.stringify({ p: 'AAAA', h: { iv: 'AAAAAAAAAAAAAAAA', at: 'AAAA' } })],
  ])('is told from %s', (_name, text) => {
    expect(opensByRails(text, right)).toBeUndefined()
  })
})

describe('what was sealed with OTP_SECRET', () => {
  it('opens with it alone', () => {
    expect(opensByOtpSecret(LEGACY, OTP)).toBe(true)
    expect(opensByOtpSecret(LEGACY, `${OTP}x`)).toBe(false)
    expect(opensByOtpSecret(LEGACY, '')).toBe(false)
  })

  it.each([
    ['no salt', { ...LEGACY, salt: null }],
    ['an initialization vector of another length', { ...LEGACY, iv: 'aXY=' }],
    ['nothing but a tag', { ...LEGACY, secret: 'AAAAAAAAAAAAAAAAAAAAAA==' }],
  ])('is told from %s', (_name, value) => {
    expect(opensByOtpSecret(value, OTP)).toBeUndefined()
  })
})
