import { flags, OK, operation, rails, rake, tootctl } from './rows.js'

type None = Record<never, never>

export interface MediaRemoveParams {
  /** Keep what was fetched during so many days. Mastodon's default: 7. */
  days?: number
  concurrency?: number
  dryRun?: boolean
  verbose?: boolean
  /** Removes avatars and headers of remote accounts in place of attachments. Not with `removeHeaders`. */
  pruneProfiles?: boolean
  removeHeaders?: boolean
  /** Also those of accounts that somebody here follows. */
  includeFollows?: boolean
  /** Keeps what somebody here has favourited, boosted, bookmarked or answered. */
  keepInteracted?: boolean
}

export interface MediaRefreshParams {
  /** One of account, domain and status must be given. */
  account?: string
  domain?: string
  status?: string
  force?: boolean
  days?: number
}

export interface OrphanParams {
  dryRun?: boolean
  startAfter?: string
  prefix?: string
  fixPermissions?: boolean
}

export interface PreviewCardsParams {
  /** Mastodon's default: 180. */
  days?: number
  concurrency?: number
  dryRun?: boolean
  /** Only cards of the kind "link". */
  link?: boolean
}

export interface StatusesRemoveParams {
  /** Mastodon's default: 90. */
  days?: number
  cleanFollowed?: boolean
  skipMediaRemove?: boolean
  batchSize?: number
  continue?: boolean
  skipStatusRemove?: boolean
  /** VACUUM FULL: locks the tables until it is done. */
  compressDatabase?: boolean
}

export interface SearchDeployParams {
  concurrency?: number
  /** The index to fill: accounts, tags, statuses; from 4.2.0 on also public_statuses and instances. */
  only?: string
  batchSize?: number
  resetChewy?: boolean
  onlyMapping?: boolean
}

export interface FeedsBuildParams {
  /** A local name; without it the feeds of everybody are built. */
  username?: string
  concurrency?: number
  skipFilledTimelines?: boolean
}

const RAKE = 'lib/tasks/mastodon.rake'
const MEDIA = 'lib/mastodon/media_cli.rb'
const SEARCH = 'lib/mastodon/search_cli.rb'
const STATUSES = 'lib/mastodon/statuses_cli.rb'
const REMOVED_MEDIA = /(Removed [\d,.]+ media attachments|removed profile media totaling)/
const ONE_BY_ONE = 'A single file that fails is only logged, exit code 0.'

const MEDIA_REMOVE_FLAGS = {
  days: '--days',
  concurrency: '--concurrency',
  pruneProfiles: '--prune-profiles',
  removeHeaders: '--remove-headers',
  includeFollows: '--include-follows',
  keepInteracted: '--keep-interacted',
  verbose: '--verbose',
  dryRun: '--dry-run',
} as const

const mediaRemove = {
  argv: (params: MediaRemoveParams) => tootctl('media', 'remove', ...flags(params, MEDIA_REMOVE_FLAGS)),
  success: REMOVED_MEDIA,
  boots: true,
  destructive: true,
  note: ONE_BY_ONE,
} as const

const mediaRefresh = {
  argv: (params: MediaRefreshParams) =>
    tootctl(
      ...['media', 'refresh'],
      ...flags(params, {
        account: '--account',
        domain: '--domain',
        status: '--status',
        force: '--force',
        days: '--days',
      }),
    ),
  success: /^Downloaded [\d,.]+ media attachments/m,
  boots: true,
  note: ONE_BY_ONE,
} as const

const removeOrphans = {
  argv: (params: OrphanParams) =>
    tootctl(
      ...['media', 'remove-orphans'],
      ...flags(params, {
        startAfter: '--start-after',
        prefix: '--prefix',
        fixPermissions: '--fix-permissions',
        dryRun: '--dry-run',
      }),
    ),
  success: /Removed [\d,.]+ orphans/,
  boots: true,
  destructive: true,
  note: 'Fails for fog and Azure storage.',
} as const

const statusesRemove = {
  argv: (params: StatusesRemoveParams) =>
    tootctl(
      ...['statuses', 'remove'],
      ...flags(params, {
        days: '--days',
        cleanFollowed: '--clean-followed',
        skipMediaRemove: '--skip-media-remove',
        batchSize: '--batch-size',
        continue: '--continue',
        skipStatusRemove: '--skip-status-remove',
        compressDatabase: '--compress-database',
      }),
    ),
  success: /^Done after .*removed [\d,.]+ out of [\d,.]+ statuses/m,
  boots: true,
  destructive: true,
} as const

const SEARCH_FLAGS = {
  concurrency: '--concurrency',
  only: '--only',
  batchSize: '--batch-size',
  resetChewy: '--reset-chewy',
  onlyMapping: '--only-mapping',
} as const

const searchDeploy = {
  argv: (params: SearchDeployParams) => tootctl('search', 'deploy', ...flags(params, SEARCH_FLAGS)),
  success: /Indexed [\d,.]+ records, de-indexed [\d,.]+/,
  boots: true,
} as const

/** Before 4.2.0 this part of tootctl exits 0 on a wrong flag or argument. */
const oldSearchDeploy = { ...searchDeploy, exitMayLie: true } as const

const feedFlags = (params: Omit<FeedsBuildParams, 'username'>) =>
  flags(params, { concurrency: '--concurrency', skipFilledTimelines: '--skip-filled-timelines' })

const feedsBuild = {
  argv: ({ username, ...params }: FeedsBuildParams) =>
    tootctl('feeds', 'build', ...(username === undefined ? ['--all'] : [username]), ...feedFlags(params)),
  success: /^(Regenerated feeds for|OK\b)/m,
  failure: /No such account/,
  boots: true,
} as const

export const contentOperations = {
  daily: operation<None>('run the daily task', [
    {
      since: '1.3.0',
      before: '1.5.0',
      argv: () => rake('mastodon:daily'),
      success: /^Completed daily tasks at /m,
      boots: true,
      note: 'From 1.4.1 on only its part `users:clear` still does work.',
      source: `${RAKE} @v1.3.0, @v1.4.7`,
    },
    {
      since: '1.5.0',
      before: '2.5.0',
      lacking: 'the task does nothing from 1.5.0 on: its work is done by the scheduler of Sidekiq',
      instead: 'See that Sidekiq runs. What the scheduler leaves out are the extras of `daily`.',
      source: `${RAKE} @v1.5.0`,
    },
    {
      since: '2.5.0',
      lacking: 'the task was removed in 2.5.0: its work is done by the scheduler of Sidekiq',
      instead: 'See that Sidekiq runs. What the scheduler leaves out are the extras of `daily`.',
      source: `${RAKE} @v2.5.0 (793eea2982)`,
    },
  ]),

  'cache.clear': operation<None>('clear the cache', [
    {
      since: '1.3.0',
      before: '2.8.1',
      argv: () => rails('runner', 'Rails.cache.clear'),
      boots: true,
      source: 'Rails; lib/mastodon/cache_cli.rb @v2.8.1',
    },
    {
      since: '2.8.1',
      argv: () => tootctl('cache', 'clear'),
      success: OK,
      boots: true,
      source: 'lib/mastodon/cache_cli.rb @v2.8.1',
    },
  ]),

  'cache.recount': operation<{ type: 'accounts' | 'statuses' }>('count the counters again', [
    {
      since: '1.3.0',
      before: '2.6.0',
      argv: () => rake('mastodon:maintenance:update_counter_caches'),
      boots: true,
      note: 'Counts accounts and statuses both, whatever type is asked for.',
      source: `${RAKE} @v1.3.0, @v2.5.2`,
    },
    {
      since: '2.6.0',
      before: '3.0.0',
      lacking: 'the rake task was removed in 2.6.0 and the command came with 3.0.0',
      instead: 'Upgrade to 3.0.0; wrong counters do no harm until then.',
      source: 'lib/mastodon/cache_cli.rb @v3.0.0',
    },
    {
      since: '3.0.0',
      argv: ({ type }) => tootctl('cache', 'recount', type),
      success: /^OK, recounted [\d,.]+ records/m,
      boots: true,
      source: 'lib/mastodon/cache_cli.rb @v3.0.0',
    },
  ]),

  'feeds.build': operation<FeedsBuildParams>('build the home feeds', [
    {
      since: '1.3.0',
      before: '1.5.0',
      lacking: 'the task came with 1.5.0',
      instead: "A feed is built when its owner comes back after a while; `feeds:clear` starts everybody's anew.",
      source: `${RAKE} @v1.5.0`,
    },
    {
      since: '1.5.0',
      before: '2.6.0',
      argv: () => rake('mastodon:feeds:build'),
      accepts: [],
      boots: true,
      source: `${RAKE} @v1.5.0, @v2.5.2`,
    },
    {
      ...feedsBuild,
      since: '2.6.0',
      before: '3.0.0',
      accepts: ['username'],
      source: 'lib/mastodon/feeds_cli.rb @v2.6.0',
    },
    {
      ...feedsBuild,
      since: '3.0.0',
      before: '4.4.0',
      accepts: ['username', 'concurrency'],
      source: 'lib/mastodon/feeds_cli.rb @v3.0.0',
    },
    { ...feedsBuild, since: '4.4.0', source: 'lib/mastodon/cli/feeds.rb @v4.4.0' },
  ]),

  'feeds.clear': operation<None>('clear the home feeds', [
    {
      since: '1.3.0',
      before: '2.6.0',
      argv: () => rake('mastodon:feeds:clear_all'),
      boots: true,
      source: `${RAKE} @v1.3.0, @v2.5.2`,
    },
    {
      since: '2.6.0',
      argv: () => tootctl('feeds', 'clear'),
      success: OK,
      boots: true,
      source: 'lib/mastodon/feeds_cli.rb @v2.6.0',
    },
  ]),

  'push.clear': operation<None>('end subscriptions to remote accounts that nobody follows', [
    {
      since: '1.3.0',
      before: '2.6.0',
      argv: () => rake('mastodon:push:clear'),
      boots: true,
      source: `${RAKE} @v1.3.0, @v2.5.2`,
    },
    {
      since: '2.6.0',
      before: '3.0.0',
      lacking: 'the task was removed in 2.6.0',
      instead: 'Nothing is to be done: the scheduler of Sidekiq ends such subscriptions itself.',
      source: `${RAKE} @v2.6.0; config/sidekiq.yml @v1.6.0`,
    },
    {
      since: '3.0.0',
      lacking: 'there are no such subscriptions any more: OStatus was removed in 3.0.0',
      instead: 'Nothing is to be done.',
      source: 'CHANGELOG.md @v3.0.0',
    },
  ]),

  'media.remove': operation<MediaRemoveParams>('remove cached media of other servers', [
    {
      since: '1.3.0',
      before: '1.5.0',
      argv: () => rake('mastodon:media:remove_remote'),
      accepts: [],
      boots: true,
      destructive: true,
      note: 'What is older than 7 days: NUM_DAYS is ignored before 1.5.0.',
      source: `${RAKE} @v1.3.0`,
    },
    {
      since: '1.5.0',
      before: '2.5.0',
      argv: () => rake('mastodon:media:remove_remote'),
      env: ({ days }): Record<string, string> => (days === undefined ? {} : { NUM_DAYS: String(days) }),
      accepts: ['days'],
      boots: true,
      destructive: true,
      source: `${RAKE} @v1.5.0 (27b2355738)`,
    },
    {
      ...mediaRemove,
      since: '2.5.0',
      before: '2.6.0',
      accepts: ['days', 'dryRun'],
      exitMayLie: true,
      note: 'tootctl of 2.5 exits 0 on an unknown command or flag.',
      source: `${MEDIA} @v2.5.0`,
    },
    {
      ...mediaRemove,
      since: '2.6.0',
      before: '3.0.0',
      accepts: ['days', 'dryRun'],
      source: `${MEDIA} @v2.6.0`,
    },
    {
      ...mediaRemove,
      since: '3.0.0',
      before: '4.1.0',
      accepts: ['days', 'dryRun', 'verbose', 'concurrency'],
      source: `${MEDIA} @v3.0.0`,
    },
    {
      ...mediaRemove,
      since: '4.1.0',
      before: '4.3.0',
      accepts: ['days', 'dryRun', 'concurrency', 'pruneProfiles', 'removeHeaders', 'includeFollows'],
      source: `${MEDIA} @v4.1.0, lib/mastodon/cli/media.rb @v4.2.0`,
    },
    {
      ...mediaRemove,
      since: '4.3.0',
      before: '4.6.0',
      accepts: ['days', 'dryRun', 'verbose', 'concurrency', 'pruneProfiles', 'removeHeaders', 'includeFollows'],
      source: 'lib/mastodon/cli/media.rb @v4.3.0',
    },
    { ...mediaRemove, since: '4.6.0', source: 'lib/mastodon/cli/media.rb @v4.6.0' },
  ]),

  'media.refresh': operation<MediaRefreshParams>('fetch media of other servers again', [
    {
      since: '1.3.0',
      before: '3.0.0',
      lacking: 'the command came with 3.0.0',
      instead:
        'Avatars alone: `rake mastodon:media:redownload_avatars` (1.5.0 to 2.5.2), `tootctl accounts refresh` (2.6.0).',
      source: `${MEDIA} @v3.0.0`,
    },
    {
      ...mediaRefresh,
      since: '3.0.0',
      before: '3.0.1',
      accepts: ['account', 'domain', 'status'],
      source: `${MEDIA} @v3.0.0`,
    },
    {
      ...mediaRefresh,
      since: '3.0.1',
      before: '4.0.0',
      accepts: ['account', 'domain', 'status', 'force'],
      source: `${MEDIA} @v3.0.1`,
    },
    { ...mediaRefresh, since: '4.0.0', source: `${MEDIA} @v4.0.0` },
  ]),

  'media.removeOrphans': operation<OrphanParams>('remove files that no row refers to', [
    {
      since: '1.3.0',
      before: '3.1.0',
      lacking: 'the command came with 3.1.0',
      instead: 'Upgrade to 3.1.0, or leave the files.',
      source: `${MEDIA} @v3.1.0`,
    },
    {
      ...removeOrphans,
      since: '3.1.0',
      before: '3.1.3',
      accepts: ['startAfter', 'dryRun'],
      source: `${MEDIA} @v3.1.0`,
    },
    {
      ...removeOrphans,
      since: '3.1.3',
      before: '3.3.0',
      accepts: ['startAfter', 'dryRun', 'prefix'],
      source: `${MEDIA} @v3.1.3`,
    },
    { ...removeOrphans, since: '3.3.0', source: `${MEDIA} @v3.3.0` },
  ]),

  'media.usage': operation<None>('say how much space the media take', [
    {
      since: '1.3.0',
      before: '3.0.1',
      lacking: 'the command came with 3.0.1',
      instead: 'Sum up media_attachments.file_file_size in the database.',
      source: `${MEDIA} @v3.0.1`,
    },
    {
      since: '3.0.1',
      before: '4.0.0',
      argv: () => tootctl('media', 'usage'),
      success: /^Attachments:\t/m,
      boots: true,
      note: 'One line a kind: name, tab, size, and the local share in brackets.',
      source: `${MEDIA} @v3.0.1`,
    },
    {
      since: '4.0.0',
      argv: () => tootctl('media', 'usage'),
      success: /^\W*(Attachments:\t|Object\s+Total\s+Local)/m,
      boots: true,
      note: 'Later releases print a table with the head Object, Total, Local.',
      source: 'lib/mastodon/cli/media.rb',
    },
  ]),

  'previewCards.remove': operation<PreviewCardsParams>('remove the images of link previews', [
    {
      since: '1.3.0',
      before: '3.0.0',
      lacking: 'the command came with 3.0.0',
      instead: 'Upgrade to 3.0.0, or leave the images.',
      source: 'lib/mastodon/preview_cards_cli.rb @v3.0.0',
    },
    {
      since: '3.0.0',
      argv: params =>
        tootctl(
          ...['preview_cards', 'remove'],
          ...flags(params, { days: '--days', concurrency: '--concurrency', link: '--link', dryRun: '--dry-run' }),
        ),
      success: /^Removed media from [\d,.]+ (link-type )?preview cards/m,
      boots: true,
      destructive: true,
      note: ONE_BY_ONE,
      source: 'lib/mastodon/preview_cards_cli.rb @v3.0.0',
    },
  ]),

  'statuses.remove': operation<StatusesRemoveParams>('remove posts of other servers that nobody here touched', [
    {
      since: '1.3.0',
      before: '2.8.0',
      lacking: 'the command came with 2.8.0',
      instead: 'Upgrade to 2.8.0.',
      source: `${STATUSES} @v2.8.0`,
    },
    { ...statusesRemove, since: '2.8.0', before: '3.1.0', accepts: ['days'], source: `${STATUSES} @v2.8.0` },
    {
      ...statusesRemove,
      since: '3.1.0',
      before: '3.1.3',
      accepts: ['days', 'cleanFollowed'],
      source: `${STATUSES} @v3.1.0`,
    },
    {
      ...statusesRemove,
      since: '3.1.3',
      before: '3.5.0',
      accepts: ['days', 'cleanFollowed', 'skipMediaRemove'],
      source: `${STATUSES} @v3.1.3`,
    },
    { ...statusesRemove, since: '3.5.0', source: `${STATUSES} @v3.5.0` },
  ]),

  'search.deploy': operation<SearchDeployParams>('fill the search indexes', [
    {
      since: '1.3.0',
      before: '2.8.0',
      lacking: 'the command came with 2.8.0',
      instead: 'Full-text search is optional from 2.3.0 on: upgrade to 2.8.0 to fill its indexes by a command.',
      source: `${SEARCH} @v2.8.0`,
    },
    { ...oldSearchDeploy, since: '2.8.0', before: '3.2.0', accepts: [], source: `${SEARCH} @v2.8.0` },
    {
      ...oldSearchDeploy,
      since: '3.2.0',
      before: '3.5.0',
      accepts: ['concurrency', 'only'],
      source: `${SEARCH} @v3.2.0`,
    },
    {
      ...oldSearchDeploy,
      since: '3.5.0',
      before: '4.2.0',
      accepts: ['concurrency', 'only', 'batchSize'],
      source: `${SEARCH} @v3.5.0`,
    },
    {
      ...searchDeploy,
      since: '4.2.0',
      before: '4.4.0',
      accepts: ['concurrency', 'only', 'batchSize', 'resetChewy'],
      source: 'lib/mastodon/cli/search.rb @v4.2.0',
    },
    { ...searchDeploy, since: '4.4.0', source: 'lib/mastodon/cli/search.rb @v4.4.0' },
  ]),
}
