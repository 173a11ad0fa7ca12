import { newEncryptionKeys, newHexSecret, newVapidPair, type SecretNeed, secretsOf } from '../secrets.js'
import type { MastodonVersion } from '../version.js'

/** Returns new values for all secrets that the release knows, by name. They are made on this machine. */
export function newSecrets(version: MastodonVersion): Record<string, string> {
  const pair = newVapidPair()
  const made: Record<string, string> = {
    ...newEncryptionKeys(),
    VAPID_PRIVATE_KEY: pair.privateKey,
    VAPID_PUBLIC_KEY: pair.publicKey,
  }
  const value = ({ kind, name }: SecretNeed) => (kind === 'hex' ? newHexSecret() : (made[name] ?? ''))
  return Object.fromEntries(secretsOf(version).map(secret => [secret.name, value(secret)]))
}
