import { describe, expect, it } from 'vitest'
import { newSecrets, planSecrets } from '../../../src/lib/mastodon/new-secrets.js'
import { isVapidPair, newVapidPair } from '../../../src/lib/mastodon/secrets.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'

const KEYS = ['DETERMINISTIC_KEY', 'KEY_DERIVATION_SALT', 'PRIMARY_KEY'].map(name => `ACTIVE_RECORD_ENCRYPTION_${name}`)
const VAPID = ['VAPID_PRIVATE_KEY', 'VAPID_PUBLIC_KEY']

function made(version: string, stored: Record<string, string> = {}, running: Record<string, string> = {}) {
  const standing = { stored: new Map(Object.entries(stored)), running: new Map(Object.entries(running)) }
  const plan = planSecrets(MastodonVersion.of(version), standing)
  return { ...plan, values: newSecrets(plan.make, standing.stored), left: plan.left.map(({ name }) => name) }
}

const pair = newVapidPair()

describe('the secrets of a release', () => {
  it.each([
    ['1.3.0', ['SECRET_KEY_BASE', 'PAPERCLIP_SECRET', 'OTP_SECRET']],
    ['2.4.5', ['SECRET_KEY_BASE', 'OTP_SECRET', ...VAPID]],
    ['4.2.9', ['SECRET_KEY_BASE', 'OTP_SECRET', ...VAPID]],
    ['4.3.0-beta.1', ['SECRET_KEY_BASE', 'OTP_SECRET', ...VAPID, ...KEYS]],
    ['4.7.4', ['SECRET_KEY_BASE', ...VAPID, ...KEYS]],
  ])('of %s are made in the forms of its own commands', (version, names) => {
    const { values, set, left } = made(version)
    expect(Object.keys(values)).toEqual(names)
    expect({ set, left }).toEqual({ set: [], left: [] })
    for (const [name, value] of Object.entries(values)) {
      if (KEYS.includes(name)) expect(value).toMatch(/^[A-Za-z0-9]{32}$/)
      else if (!VAPID.includes(name)) expect(value).toMatch(/^[0-9a-f]{128}$/)
    }
    const { VAPID_PRIVATE_KEY: privateKey = '', VAPID_PUBLIC_KEY: publicKey = '' } = values
    if (names.includes('VAPID_PRIVATE_KEY')) expect(isVapidPair({ privateKey, publicKey })).toBe(true)
  })

  it('leaves out what is set, and takes an empty value or a placeholder for none', () => {
    const stored = {
      SECRET_KEY_BASE: 'a',
      OTP_SECRET: '',
      [KEYS[0] ?? '']: 'x_DO_NOT_USE_IN_PRODUCTION',
      ...vapidOf(pair),
    }
    const { values, set } = made('4.3.8', stored)
    expect(Object.keys(values)).toEqual(['OTP_SECRET', ...KEYS])
    expect(set).toEqual(['SECRET_KEY_BASE', ...VAPID])
  })

  it('makes the public half of a private key that is there', () => {
    const { values } = made('4.5.3', { VAPID_PRIVATE_KEY: pair.privateKey })
    expect(values.VAPID_PUBLIC_KEY).toBe(pair.publicKey)
    expect(values.VAPID_PRIVATE_KEY).toBeUndefined()
  })

  it.each<[string, Record<string, string>, Record<string, string>, string]>([
    ['a public key without its private half', { VAPID_PUBLIC_KEY: pair.publicKey }, {}, 'VAPID_PRIVATE_KEY'],
    ['a private key that is none', { VAPID_PRIVATE_KEY: 'nonsense' }, {}, 'VAPID_PUBLIC_KEY'],
    ['one that only what runs has', {}, { SECRET_KEY_BASE: 'in force' }, 'SECRET_KEY_BASE'],
  ])('makes nothing that would break %s', (_title, stored, running, name) => {
    const { values, left } = made('4.5.3', stored, running)
    expect(left).toEqual([name])
    expect(values[name]).toBeUndefined()
  })
})

function vapidOf({ privateKey, publicKey }: typeof pair): Record<string, string> {
  return { VAPID_PRIVATE_KEY: privateKey, VAPID_PUBLIC_KEY: publicKey }
}
