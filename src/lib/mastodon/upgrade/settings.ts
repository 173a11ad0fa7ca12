import type { MastodonVersion } from '../version.js'

/** A variable that a release reads no more, or reads under another name. */
export interface RetiredSetting {
  name: string
  since: string
  /** The variable that has taken its place. */
  instead?: string
  /** Whether the old name is read all the same. */
  stillRead?: boolean
  source: string
}

/** REDIS_NAMESPACE and OTP_SECRET are not here: leaving them, or losing them, stops the app or the upgrade. */
const RETIRED: readonly RetiredSetting[] = [
  { name: 'LOCAL_HTTPS', since: '2.1.1', source: 'config/initializers/ostatus.rb @v2.1.1' },
  { name: 'PAPERCLIP_SECRET', since: '2.3.0', source: '.env.production.sample @v2.3.0' },
  {
    name: 'S3_CLOUDFRONT_HOST',
    since: '2.5.0',
    instead: 'S3_ALIAS_HOST',
    stillRead: true,
    source: '.env.production.sample @v2.5.0',
  },
  {
    name: 'WHITELIST_MODE',
    since: '3.2.0',
    instead: 'LIMITED_FEDERATION_MODE',
    stillRead: true,
    source: 'CHANGELOG.md @v3.2.0',
  },
  {
    name: 'EMAIL_DOMAIN_BLACKLIST',
    since: '3.2.0',
    instead: 'EMAIL_DOMAIN_DENYLIST',
    stillRead: true,
    source: 'CHANGELOG.md @v3.2.0',
  },
  {
    name: 'EMAIL_DOMAIN_WHITELIST',
    since: '3.2.0',
    instead: 'EMAIL_DOMAIN_ALLOWLIST',
    stillRead: true,
    source: 'CHANGELOG.md @v3.2.0',
  },
  { name: 'OAUTH_REDIRECT_AT_SIGN_IN', since: '3.5.0', source: 'CHANGELOG.md @v3.5.0' },
  { name: 'STREAMING_CLUSTER_NUM', since: '4.2.0', source: 'CHANGELOG.md @v4.2.0' },
  { name: 'STATSD_ADDR', since: '4.3.0', source: 'CHANGELOG.md @v4.3.0' },
  { name: 'FETCH_REPLIES_ENABLED', since: '4.5.0', source: 'CHANGELOG.md @v4.5.0' },
  { name: 'MASTODON_USE_LIBVIPS', since: '4.6.0', source: 'CHANGELOG.md @v4.6.0' },
]

/** Returns those of the variables that lose their effect, or their name, on the way. */
export function retiredBetween(
  from: MastodonVersion,
  to: MastodonVersion,
  set: readonly string[],
): readonly RetiredSetting[] {
  return RETIRED.filter(({ name, since }) => set.includes(name) && from.before(since) && to.atLeast(since))
}
