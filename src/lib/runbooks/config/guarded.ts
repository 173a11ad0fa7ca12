import { secretsOf } from '../../mastodon/secrets.js'
import { MastodonVersion } from '../../mastodon/version.js'

/** Names of the instance itself: other servers and apps have stored them. */
const NAMES: Readonly<Record<string, string>> = {
  LOCAL_DOMAIN: 'everybody here gets another address; other servers take them for strangers, and cannot be told',
  WEB_DOMAIN: 'the addresses of all posts and profiles change; other servers and apps keep asking the old ones',
}

/** Mastodon 4.3 knows every secret of today: OTP_SECRET went with 4.4, the encryption keys came with 4.3. */
const SECRETS = secretsOf(MastodonVersion.of('4.3.0'))

/**
 * Returns what a new value of this variable breaks, where the old one is bound up with data that exists; undefined for
 * all others. Independent of the release that runs, which may not be known while it is down.
 */
export function whatBreaks(key: string): string | undefined {
  return NAMES[key] ?? SECRETS.find(secret => secret.name === key)?.breaks
}
