import type { VersionRange } from '../version.js'

/** What the server removes or tidies by itself, so that nobody need do it. */
export interface AutomaticWork extends VersionRange {
  what: string
  /** The row of `settings` without which it does not happen. */
  onlyWithSetting?: string
  source: string
}

/** A command that Mastodon never runs by itself and an operator may want run regularly. */
export interface Extra extends VersionRange {
  operation: 'media.remove' | 'previewCards.remove' | 'statuses.remove' | 'media.removeOrphans' | 'accounts.prune'
  /** Whether to run it without being asked: only what can be fetched again is removed. */
  byDefault: boolean
  /** Where this setting has a value, the server does the same by itself, and twice is once too often. */
  notWithSetting?: string
  why: string
  source: string
}

const MEDIA_RETENTION = 'media_cache_retention_period'
const CONTENT_RETENTION = 'content_cache_retention_period'
const VACUUM = 'app/workers/scheduler/vacuum_scheduler.rb @v4.0.0'
const JOBS = 'config/sidekiq.yml'

export const AUTOMATIC_WORK: readonly AutomaticWork[] = [
  { since: '1.4.1', what: 'uploads that no post uses', source: `${JOBS} @v1.4.1; ${VACUUM}` },
  { since: '1.4.1', what: 'feeds of people who are away', source: `${JOBS} @v1.4.1; ${VACUUM}` },
  { since: '1.4.7', what: 'expired tokens', source: `${JOBS} @v1.4.7; ${VACUUM}` },
  { since: '1.5.0', what: 'sign-ups that were never confirmed', source: `${JOBS} @v1.5.0` },
  { since: '1.6.1', what: 'old IP addresses', source: `${JOBS} @v1.6.1` },
  { since: '2.3.0', what: "people's old archives", source: `${JOBS} @v2.3.0; ${VACUUM}` },
  { since: '4.0.0', what: 'suspended accounts, after a while', source: `${JOBS} @v4.0.0` },
  { since: '4.0.0', what: 'cached media of other servers', onlyWithSetting: MEDIA_RETENTION, source: VACUUM },
  { since: '4.0.0', what: 'images of link previews', onlyWithSetting: MEDIA_RETENTION, source: VACUUM },
  { since: '4.0.0', what: 'posts of other servers', onlyWithSetting: CONTENT_RETENTION, source: VACUUM },
]

export const EXTRAS: readonly Extra[] = [
  {
    operation: 'media.remove',
    since: '1.3.0',
    before: '4.0.0',
    byDefault: true,
    why: 'cached media of other servers are never removed by themselves; they are fetched again when looked at',
    source: 'lib/tasks/mastodon.rake @v1.3.0; lib/mastodon/media_cli.rb @v2.5.0',
  },
  {
    operation: 'media.remove',
    since: '4.0.0',
    byDefault: true,
    notWithSetting: MEDIA_RETENTION,
    why: 'cached media of other servers are removed by themselves only where a retention period is set',
    source: VACUUM,
  },
  {
    operation: 'previewCards.remove',
    since: '3.0.0',
    before: '4.0.0',
    byDefault: false,
    why: 'images of link previews are never removed by themselves; a removed one may not come back',
    source: 'lib/mastodon/preview_cards_cli.rb @v3.0.0',
  },
  {
    operation: 'previewCards.remove',
    since: '4.0.0',
    byDefault: false,
    notWithSetting: MEDIA_RETENTION,
    why: 'images of link previews are removed by themselves only where a retention period is set',
    source: VACUUM,
  },
  {
    operation: 'statuses.remove',
    since: '2.8.0',
    byDefault: false,
    why: 'removes more than any retention period does, and for good: rows that matter to search and to threads',
    source: 'lib/mastodon/statuses_cli.rb @v2.8.0',
  },
  {
    operation: 'media.removeOrphans',
    since: '3.1.0',
    byDefault: false,
    why: 'reads every stored file: slow, and costly on object storage',
    source: 'lib/mastodon/media_cli.rb @v3.1.0',
  },
  {
    operation: 'accounts.prune',
    since: '4.1.0',
    byDefault: false,
    why: 'removes remote accounts that nobody here ever met; they are fetched again when they are met',
    source: 'lib/mastodon/accounts_cli.rb @v4.1.0',
  },
]
