import { inRange, type MastodonVersion, type VersionRange } from './version.js'

/**
 * What Mastodon and its Sidekiq write to Redis. Where no namespace stands before the keys, their names alone tell whose
 * they are, so the patterns are as narrow as the names allow: another application may use the same database.
 */

/** The Redis servers that can be apart: REDIS_URL, SIDEKIQ_REDIS_URL, CACHE_REDIS_URL. */
export type RedisRole = 'main' | 'sidekiq' | 'cache'

/**
 * - `feeds`: home and list timelines, made anew by `tootctl feeds build`
 * - `cache`: Rails' cache, and the rate limits by address that Rack::Attack keeps in it
 * - `jobs`: queues, retries, scheduled and dead jobs: the only copy of work to do
 * - `sidekiq`: its bookkeeping: processes, counters, locks of unique jobs, the scheduler's times
 * - `volatile`: locks, limits, trends, cursors: it speaks of rows of the database, and is wrong when those change
 * - `lasting`: what no table holds and no change of the database makes wrong: statistics, word lists
 */
export type RedisKeyKind = 'feeds' | 'cache' | 'jobs' | 'sidekiq' | 'volatile' | 'lasting'

/** Keys of one purpose. What a version that is left behind (`before`) wrote may still lie there, and is Mastodon's. */
export interface RedisKeys extends VersionRange {
  /** Patterns as SCAN takes them, without a namespace: `*`, `?` and `[…]`. */
  globs: readonly string[]
  kind: RedisKeyKind
  role: RedisRole
}

const DIGIT = '[0-9]'
/** `HOST:PID:NONCE`, the nonce of six bytes (component.rb, in 4 and 5 util.rb); on Heroku the host is the dyno. */
const PROCESS = `*:${DIGIT}*:${'[0-9a-f]'.repeat(12)}`

/** Source: app/lib/feed_manager.rb; from 2.0.0 with the sets `:reblogs` and `:reblogs:ID`. */
const FEEDS: readonly RedisKeys[] = [{ since: '1.3.0', globs: [`feed:[a-z]*:${DIGIT}*`], kind: 'feeds', role: 'main' }]

/**
 * Source: config/environments/production.rb of 1.3, then lib/mastodon/redis_config.rb, from 4.3.0 redis_configuration.rb.
 * The cache's own namespace is `cache`, or `NAMESPACE_cache`: {@link keyPattern}. Rack::Attack counts in Rails' cache.
 */
const CACHE: readonly RedisKeys[] = [{ since: '1.3.0', globs: ['cache:*'], kind: 'cache', role: 'cache' }]

/** Source: Sidekiq 4.2.10 (1.3) to 8.1.6 (4.6), lib/sidekiq/client.rb, job_retry.rb and api.rb. */
const JOBS: readonly RedisKeys[] = [
  { since: '1.3.0', globs: ['queue:*', 'schedule', 'retry', 'dead'], kind: 'jobs', role: 'sidekiq' },
]

const sidekiq = (since: string, ...globs: string[]): RedisKeys => ({ since, globs, kind: 'sidekiq', role: 'sidekiq' })

/** Source: Sidekiq of the release (Gemfile.lock), lib/sidekiq/launcher.rb, api.rb, metrics/, deploy.rb, iterable.rb. */
const SIDEKIQ: readonly RedisKeys[] = [
  sidekiq('1.3.0', 'queues', 'processes', 'stat:processed', 'stat:failed', 'stat:processed:*', 'stat:failed:*'),
  // `:workers` up to Sidekiq 6.1, `:work` from 6.5 on.
  sidekiq('1.3.0', PROCESS, `${PROCESS}:workers`, `${PROCESS}:work`, `${PROCESS}-signals`),
  // Sidekiq 6.5 and later.
  sidekiq('4.0.0', 'process_cleanup', `j|${DIGIT}*`, `h|[A-Z]*-${DIGIT}*:${DIGIT}*`, `${DIGIT.repeat(8)}-marks`),
  // Sidekiq 7.3 and later: a job that goes on where it stopped, of 24 hexadecimal digits.
  sidekiq('4.4.0', 'deploylock-*', `it-${'[0-9a-f]'.repeat(24)}`),
  // sidekiq-unique-jobs 5.0 to 8.1; the set `unique:keys` is of 6.0 (2.7.0 to 3.3).
  sidekiq('1.3.0', 'uniquejobs', 'uniquejobs:*'),
  { ...sidekiq('2.7.0', 'unique:keys'), before: '3.4.0' },
  // sidekiq-scheduler 2.1 to 6.0, redis_manager.rb; the two names without a prefix are those of a changed schedule.
  sidekiq('1.3.3', 'sidekiq-scheduler:*', 'schedules', 'schedules_changed'),
]

const volatile = (since: string, ...globs: string[]): RedisKeys => ({ since, globs, kind: 'volatile', role: 'main' })
const until = (before: string, keys: RedisKeys): RedisKeys => ({ ...keys, before })

/** Source: the callers of RedisLock in app/; from 3.5.3 all through app/models/concerns/lockable.rb, under `lock:`. */
const LOCK_NAMES = [
  ...['account_migration', 'announce', 'attach_card', 'backup', 'collection', 'collection_item', 'create'],
  ...['delete_in_progress', 'delete_status_in_progress', 'distribute', 'fetch', 'idempotency', 'media_download'],
  ...['process_account', 'push_subscription', 'reblog', 'relationship', 'resolve', 'vote'],
]

const LOCKS: readonly RedisKeys[] = [
  volatile('3.5.3', ...LOCK_NAMES.map(name => `lock:${name}:*`)),
  until('3.5.3', volatile('1.6.0', 'fetch:http*://*', 'resolve:*@*')),
  until('3.5.3', volatile('1.6.1', 'create:http*://*', `media_download:${DIGIT}*`)),
  until('3.5.3', volatile('2.0.0', 'process_account:http*://*')),
  until('3.5.3', volatile('2.7.0', `delete_in_progress:${DIGIT}*`)),
  until('3.5.3', volatile('2.8.0', `distribute:${DIGIT}*`, `backup:${DIGIT}*`)),
  until('3.5.3', volatile('3.0.0', `vote:${DIGIT}*:${DIGIT}*`)),
  until('3.5.3', volatile('3.2.0', 'announce:http*://*')),
  until('3.5.3', volatile('3.4.0', `account_migration:${DIGIT}*`, 'delete_status_in_progress:http*://*')),
]

/** Source: app/models/trends/, trending_tags.rb up to 3.4; the tags' ranks are a table from 4.4.0 on. */
const TRENDS: readonly RedisKeys[] = [
  volatile('2.4.3', `activity:tags:${DIGIT}*`),
  volatile('2.5.0', 'trending_tags', 'trending_tags:*'),
  volatile('3.5.0', 'trending_links:*', 'trending_statuses:*'),
  volatile('3.5.0', `activity:links:${DIGIT}*`, `activity:email_domain_blocks:${DIGIT}*`),
]

/** Source: the file named, at the release named and at 4.6.5. */
const REST: readonly RedisKeys[] = [
  // app/services/post_status_service.rb
  volatile('1.3.0', `idempotency:status:${DIGIT}*:*`),
  // app/services/process_feed_service.rb, later app/lib/activitypub/activity.rb
  volatile('1.4.1', 'delete_upon_arrival:*'),
  // app/models/home_feed.rb; streaming/index.js keeps the other as long as somebody listens
  volatile('1.4.7', `account:${DIGIT}*:regeneration`, 'subscribed:timeline:*'),
  // app/lib/delivery_failure_tracker.rb; the inboxes are a table from 3.2.0 on
  volatile('2.0.0', 'exhausted_deliveries:*'),
  until('3.2.0', volatile('2.0.0', 'unavailable_inboxes')),
  // config/initializers/stoplight.rb
  volatile('2.4.0', 'stoplight:*'),
  // app/lib/potential_friendship_tracker.rb
  until('4.3.0', volatile('2.4.3', `interactions:${DIGIT}*`)),
  // app/lib/activitypub/activity/move.rb
  volatile('2.7.0', `move_in_progress:${DIGIT}*`),
  // app/lib/spam_check.rb
  until('3.4.0', volatile('2.9.3', `spam_check:${DIGIT}*`)),
  // app/lib/rate_limiter.rb
  volatile('3.1.3', `rate_limit:${DIGIT}*:[a-z]*:${DIGIT}*`),
  // app/workers/scheduler/follow_recommendations_scheduler.rb
  until('4.3.0', volatile('3.4.0', 'follow_recommendations:*')),
  // app/models/account_statuses_cleanup_policy.rb and its scheduler
  volatile('3.5.0', `account_cleanup:${DIGIT}*`, 'account_statuses_cleanup_scheduler:*'),
  // lib/chewy/strategy/mastodon.rb: ids of rows that the search index lacks
  volatile('3.5.3', 'chewy:queue:*'),
  // app/models/concerns/domain_materializable.rb, app/services/activitypub/process_account_service.rb
  volatile('4.1.0', 'unique_subdomains_for:*', 'discovery_per_request:*', 'status_discovery_per_request:*'),
  // app/controllers/auth/sessions_controller.rb, app/models/concerns/notification/groups.rb and unfilter_notifications_worker.rb
  volatile('4.3.0', `2fa_auth_attempts:${DIGIT}*`, `2fa_failure_notification:${DIGIT}*`),
  volatile('4.3.0', `notif-group/${DIGIT}*`, `notification_unfilter_jobs:${DIGIT}*`),
  // app/models/async_refresh.rb and what makes one
  volatile('4.4.0', 'fasp:account_search:*', `fasp:follow_recommendation:${DIGIT}*`),
  volatile('4.5.0', `context:${DIGIT}*:refresh`, 'worker_batch:*'),
  // app/lib/annual_report.rb, app/services/post_status_service.rb
  volatile('4.6.0', `wrapstodon:${DIGIT}*:${DIGIT}*`, `email_subscriptions:${DIGIT}*:next_batch`),
  // app/workers/scheduler/repair_remote_collections_scheduler.rb
  volatile('4.6.2', 'remote_collection_repair:*'),
]

/**
 * Source: app/lib/activity_tracker.rb (weekly counts, which /api/v1/instance/activity tells) and app/lib/antispam.rb, which
 * only reads: its word lists are written by hand.
 */
const LASTING: readonly RedisKeys[] = [
  {
    since: '2.2.0',
    globs: ['accounts:local', 'logins', 'statuses:local'].map(name => `activity:${name}:${DIGIT}*`),
    kind: 'lasting',
    role: 'main',
  },
  { since: '2.5.0', globs: [`activity:interactions:${DIGIT}*`], kind: 'lasting', role: 'main' },
  {
    since: '4.4.0',
    globs: ['antispam:spammy_texts', 'antispam:all_time_spammy_texts'],
    kind: 'lasting',
    role: 'main',
  },
]

const ALL = [FEEDS, CACHE, JOBS, SIDEKIQ, LOCKS, TRENDS, REST, LASTING].flat()

/** Returns what this version, or one that it was upgraded from, has written to Redis. */
export function redisKeysOf(version: MastodonVersion): readonly RedisKeys[] {
  return ALL.filter(keys => version.atLeast(keys.since))
}

/** Returns the pattern as SCAN takes it. The prefix (`NAMESPACE:` or nothing) stands literally; the cache has its own. */
export function keyPattern(keys: RedisKeys, glob: string, prefix: string): string {
  const own = keys.role === 'cache' ? prefix.replace(/:$/, '_') : prefix
  return own.replace(/[\\*?[\]^-]/g, '\\$&') + glob
}

/**
 * Source: lib/mastodon/redis_config.rb: CACHE_REDIS_URL from 2.4.0 (63553c6b5c, 2018-04-27), SIDEKIQ_REDIS_URL from 3.4.0
 * (9b18914c35, 2021-05-09).
 */
const APART: readonly (VersionRange & { role: Exclude<RedisRole, 'main'> })[] = [
  { role: 'cache', since: '2.4.0' },
  { role: 'sidekiq', since: '3.4.0' },
]

/** Whether this version reads a variable of its own for the server of this role. */
export function mayBeApart(version: MastodonVersion, role: RedisRole): boolean {
  return APART.some(row => row.role === role && inRange(version, row))
}
