import { describe, expect, it } from 'vitest'
import { manifestText, readManifest } from '../../../src/lib/backups/manifest.js'
import { fingerprintsOf, mismatches } from '../../../src/lib/backups/secrets.js'
import { newEncryptionKeys, newHexSecret, newVapidPair, secretsOf } from '../../../src/lib/mastodon/secrets.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'
import { manifestOf } from '../../support/backups.js'

const SALT = 'a3f0a3f0a3f0a3f0a3f0a3f0a3f0a3f0'
/** Each fingerprint takes its time, on purpose. */
const RELEASES = process.env.MSTDN_TEST_FULL
  ? ['1.3.0', '2.2.0', '2.4.0', '4.3.0', '4.5.3', '4.7.0']
  : ['2.2.0', '4.7.0']

function everySecret(): Map<string, string> {
  const { privateKey, publicKey } = newVapidPair()
  return new Map([
    ['SECRET_KEY_BASE', newHexSecret()],
    ['OTP_SECRET', newHexSecret()],
    ['PAPERCLIP_SECRET', newHexSecret()],
    ['VAPID_PRIVATE_KEY', privateKey],
    ['VAPID_PUBLIC_KEY', publicKey],
    ...Object.entries(newEncryptionKeys()),
    ['LOCAL_DOMAIN', 'example.com'],
    ['DB_PASS', newHexSecret()],
  ])
}

function some(...names: string[]): Map<string, string> {
  return new Map([...everySecret()].filter(([name]) => names.includes(name)))
}

function keptBy(release: string, config: ReadonlyMap<string, string>) {
  return { secrets: { salt: SALT, fingerprints: fingerprintsOf(MastodonVersion.of(release), config, SALT) } }
}

describe('the fingerprints of secrets in a manifest', () => {
  it.each(RELEASES)('are of every secret of %s, and of OTP_SECRET where it is set', release => {
    const names = new Set([...secretsOf(MastodonVersion.of(release)).map(({ name }) => name), 'OTP_SECRET'])
    expect(Object.keys(keptBy(release, everySecret()).secrets.fingerprints).sort()).toEqual([...names].sort())
  })

  it('are of none that is not set', () => {
    const config = new Map([...some('SECRET_KEY_BASE'), ['OTP_SECRET', ''] as const])
    expect(Object.keys(keptBy('4.3.0', config).secrets.fingerprints)).toEqual(['SECRET_KEY_BASE'])
  })

  it('hold no value and no part of one, and differ for equal values and for another salt', () => {
    const same = 'canary'.repeat(8)
    const config = new Map(['OTP_SECRET', 'ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY'].map(name => [name, same] as const))
    const { secrets } = keptBy('4.3.0', config)
    const text = manifestText(manifestOf('a', { secrets }))
    expect(text).toContain('ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY')
    for (const form of [
      same,
      'canary',
      ...['hex', 'base64'].map(code => Buffer.from('canary').toString(code as 'hex')),
    ]) {
      expect(text).not.toContain(form)
    }
    expect(new Set(Object.values(secrets.fingerprints)).size).toBe(Object.keys(secrets.fingerprints).length)
    const other = fingerprintsOf(MastodonVersion.of('4.3.0'), config, `${SALT}b`)
    expect(other.OTP_SECRET).not.toBe(secrets.fingerprints.OTP_SECRET)
  })
})

describe('the secrets of an instance beside those of a backup', () => {
  it('are no mismatch where all are the same, read back from the file', () => {
    const config = some('OTP_SECRET', 'VAPID_PRIVATE_KEY')
    const manifest = readManifest(manifestText(manifestOf('a', keptBy('4.3.0', config))), 'm')
    expect(mismatches(manifest, config)).toEqual([])
  })

  it.each(['OTP_SECRET', 'SECRET_KEY_BASE', 'VAPID_PRIVATE_KEY', 'ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY'])(
    'are named where %s is another, or missing, and no value is shown',
    name => {
      const config = some(name, 'VAPID_PUBLIC_KEY')
      const manifest = keptBy('4.3.0', config)
      const value = config.get(name) ?? ''
      const differing = mismatches(manifest, new Map([...config, [name, newHexSecret()]]))
      expect(differing).toEqual([{ name, problem: 'differs' }])
      expect(mismatches(manifest, new Map([...config, [name, '']]))).toEqual([{ name, problem: 'missing' }])
      expect(JSON.stringify(differing)).not.toContain(value)
    },
  )

  it('are no mismatch where they came after the backup', () => {
    const config = some('OTP_SECRET', 'ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY')
    const old = new Map([...config].filter(([name]) => name === 'OTP_SECRET'))
    const manifest = keptBy('4.2.0', old)
    expect(Object.keys(manifest.secrets.fingerprints)).toEqual(['OTP_SECRET'])
    expect(mismatches(manifest, config)).toEqual([])
  })
})
