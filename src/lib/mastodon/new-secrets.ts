import {
  isUsable,
  newEncryptionKeys,
  newHexSecret,
  newVapidPair,
  type SecretNeed,
  secretsOf,
  vapidPublicKey,
} from './secrets.js'
import type { MastodonVersion } from './version.js'

const PRIVATE = 'VAPID_PRIVATE_KEY'
const PUBLIC = 'VAPID_PUBLIC_KEY'

/** What stands already: as the next start sees it, and as what runs sees it. */
export interface Standing {
  stored: ReadonlyMap<string, string>
  running: ReadonlyMap<string, string>
}

/** Which secrets of a release are to be made, and which must not be. */
export interface SecretsPlan {
  set: string[]
  make: SecretNeed[]
  /** Not set, and not made either: a new value would break what another one belongs to. */
  left: { name: string; why: string }[]
}

/** Returns which secrets of the release are set, which are to be made, and which are left alone, each by name. */
export function planSecrets(version: MastodonVersion, standing: Standing): SecretsPlan {
  const plan: SecretsPlan = { set: [], make: [], left: [] }
  for (const secret of secretsOf(version)) {
    const { name } = secret
    const why = whyLeft(name, standing)
    if (isUsable(standing.stored.get(name))) plan.set.push(name)
    else if (why !== undefined) plan.left.push({ name, why })
    else plan.make.push(secret)
  }
  return plan
}

function whyLeft(name: string, { stored, running }: Standing): string | undefined {
  if (isUsable(running.get(name))) {
    return `What runs has a value that is no longer stored. Store that one: mstdn-ops config:get ${name} --reveal shows it, mstdn-ops config:set ${name} stores it.`
  }
  const other = stored.get(name === PRIVATE ? PUBLIC : PRIVATE)
  if (name === PRIVATE && isUsable(other)) {
    return `${PUBLIC} is set, and no private key can be made for it. mstdn-ops keys:vapid --replace makes a new pair.`
  }
  if (name === PUBLIC && isUsable(other) && vapidPublicKey(other ?? '') === undefined) {
    return `${PRIVATE} is set, and is no key. mstdn-ops keys:vapid --replace makes a new pair.`
  }
  return undefined
}

/**
 * Returns a new value for each, by name, in the form that Mastodon's own commands give it. The public half of a VAPID
 * pair is that of the private half, where this is stored already.
 */
export function newSecrets(make: readonly SecretNeed[], stored: Standing['stored']): Record<string, string> {
  const encryption = newEncryptionKeys()
  const pair = newVapidPair()
  const kept = stored.get(PRIVATE)
  const vapid: Record<string, string> = {
    [PRIVATE]: pair.privateKey,
    [PUBLIC]: (isUsable(kept) && vapidPublicKey(kept ?? '')) || pair.publicKey,
  }
  const valueFor = ({ name, kind }: SecretNeed) =>
    kind === 'hex' ? newHexSecret() : kind === 'vapid' ? vapid[name] : encryption[name]
  return Object.fromEntries(make.map(secret => [secret.name, valueFor(secret) ?? '']))
}
