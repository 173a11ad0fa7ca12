import { fingerprint } from '../fingerprint.js'
import { secretsOf } from '../mastodon/secrets.js'
import type { MastodonVersion } from '../mastodon/version.js'
import type { Manifest } from './manifest.js'

/** A secret that is not what it was when the backup was made. */
export interface Mismatch {
  name: string
  problem: 'differs' | 'missing'
}

/** Set by many beyond its last release (4.3), and needed again where a backup of before is upgraded. */
const OUTLIVED = ['OTP_SECRET']

/**
 * Returns a salted fingerprint of each secret of the release that is set, by name; about 50 ms each. Each has its own,
 * so that a mismatch can be named.
 */
export function fingerprintsOf(
  version: MastodonVersion,
  config: ReadonlyMap<string, string>,
  salt: string,
): Record<string, string> {
  const names = new Set([...secretsOf(version).map(({ name }) => name), ...OUTLIVED])
  const set = [...names].filter(name => Boolean(config.get(name)))
  return Object.fromEntries(set.map(name => [name, fingerprintOf(name, config, salt)]))
}

/**
 * Returns the secrets of the backup that the instance has otherwise or not at all, by name. One that came later is no
 * mismatch: nothing in the backup was made with it.
 */
export function mismatches(manifest: Pick<Manifest, 'secrets'>, config: ReadonlyMap<string, string>): Mismatch[] {
  const { salt, fingerprints } = manifest.secrets
  return Object.entries(fingerprints).flatMap(([name, kept]): Mismatch[] => {
    if (!config.get(name)) return [{ name, problem: 'missing' }]
    return fingerprintOf(name, config, salt) === kept ? [] : [{ name, problem: 'differs' }]
  })
}

function fingerprintOf(name: string, config: ReadonlyMap<string, string>, salt: string): string {
  return fingerprint(salt, { [name]: config.get(name) ?? null })
}
