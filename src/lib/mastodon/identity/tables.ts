import type { VersionRange } from '../version.js'
import { LOCAL } from './accounts.js'

/** What a reset keeps is dropped or kept by these names; the order is the one in which a plan shows them. */
export type KeptGroup =
  | 'identity'
  | 'users'
  | 'follows'
  | 'relays'
  | 'blocks'
  | 'personal'
  | 'moderation'
  | 'roles'
  | 'settings'
  | 'emoji'
  | 'tokens'

/** A column that points to a row of another kept table although the schema declares no foreign key for it. */
export interface SoftReference {
  column: string
  target: string
  /** What becomes of a row whose target is not kept: the column is emptied, or the row stays behind. */
  otherwise: 'empty' | 'leave'
}

/** A table of which a reset keeps rows, in the releases that have it. */
export interface KeptRow extends VersionRange {
  table: string
  group: KeptGroup
  why: string
  /** SQL over the old database: the rows to keep. Without it all, save those of accounts that are not kept. */
  where?: string
  /** Columns whose accounts are kept for the sake of these rows, remote ones too. */
  accounts?: readonly string[]
  /** The column that names the account, where only rows of kept accounts are wanted and most are others'. */
  of?: string
  /** Columns that change on the way, as SQL over the old row. */
  set?: Readonly<Record<string, string>>
  /** More of them where the follows are left out. */
  setWithoutFollows?: Readonly<Record<string, string>>
  references?: readonly SoftReference[]
}

const relation = (table: string, since: string, more: Omit<KeptRow, 'table' | 'since' | 'accounts'>): KeptRow => ({
  ...{ table, since, ...more },
  accounts: ['account_id', 'target_account_id'],
})

const noneIf = (condition: string, column: string) => `CASE WHEN ${condition} THEN 0 ELSE ${column} END`

const unfollowed = (local: string) => ({
  followers_count: noneIf(local, 'followers_count'),
  following_count: noneIf(local, 'following_count'),
})

const IDENTITY: readonly KeptRow[] = [
  {
    ...{ table: 'accounts', group: 'identity', since: '1.3.0', before: '2.7.0' },
    why: 'id, name, URI and key pair, by which other servers know an account; the posts that it counts are gone',
    set: { statuses_count: noneIf('domain IS NULL', 'statuses_count') },
    setWithoutFollows: unfollowed('domain IS NULL'),
  },
  {
    ...{ table: 'accounts', group: 'identity', since: '2.7.0' },
    why: 'id, name, URI and key pair, by which other servers know an account, the server’s own (-99) too',
  },
  {
    ...{ table: 'keypairs', group: 'identity', since: '4.6.0', of: 'account_id' },
    why: 'the key pairs: remote ones from 4.6.0 on, local ones, encrypted, from 4.7.0 on',
  },
  {
    ...{ table: 'account_stats', group: 'identity', since: '2.7.0', of: 'account_id' },
    why: 'how many follow; the posts that it counts are gone',
    set: { statuses_count: noneIf(`account_id IN (${LOCAL})`, 'statuses_count') },
    setWithoutFollows: unfollowed(`account_id IN (${LOCAL})`),
  },
  {
    ...{ table: 'account_deletion_requests', group: 'identity', since: '3.3.0', of: 'account_id' },
    why: 'a deletion that somebody has asked for still happens',
  },
]

const USERS: readonly KeptRow[] = [
  { table: 'user_roles', group: 'roles', since: '4.0.0', why: 'who may do what; the ids stand in users' },
  { table: 'users', group: 'users', since: '1.3.0', why: 'sign-in, and how people have set things' },
  { table: 'identities', group: 'users', since: '2.3.0', why: 'sign-in through another service' },
  { table: 'webauthn_credentials', group: 'users', since: '3.3.0', why: 'security keys' },
  { table: 'invites', group: 'users', since: '2.1.0', why: 'links that people have given away' },
  { table: 'user_invite_requests', group: 'users', since: '2.8.0', why: 'why somebody who waits for approval came' },
  { table: 'web_settings', group: 'users', since: '1.3.0', why: 'how the columns of the web interface stand' },
  {
    ...{ table: 'settings', group: 'users', since: '1.3.0', before: '4.4.0', where: "thing_type = 'User'" },
    why: 'the settings of people; from 4.2.0 on they stand in users',
    references: [{ column: 'thing_id', target: 'users', otherwise: 'leave' }],
  },
  {
    table: 'account_statuses_cleanup_policies',
    group: 'users',
    since: '3.5.0',
    why: 'which of their posts people let go',
  },
  { table: 'notification_policies', group: 'users', since: '4.3.0', why: 'whose notifications people filter' },
]

const FOLLOWS: readonly KeptRow[] = [
  relation('follows', '1.3.0', {
    group: 'follows',
    why: 'to whom posts are delivered, and whose posts are taken: without them both end silently',
  }),
  relation('follow_requests', '1.3.0', { group: 'follows', why: 'the other side waits for an answer' }),
  {
    ...{ table: 'subscriptions', group: 'follows', since: '1.3.0', before: '3.0.0' },
    why: 'the servers that take posts by OStatus',
  },
  { table: 'email_subscriptions', group: 'follows', since: '4.6.0', why: 'people who follow by e-mail' },
  {
    ...{ table: 'unavailable_domains', group: 'follows', since: '3.1.4' },
    why: 'servers that are gone, to which nothing is delivered',
  },
  { table: 'relays', group: 'relays', since: '2.5.0', why: 'the relays believe that they are still subscribed to' },
]

const BLOCKS: readonly KeptRow[] = [
  relation('blocks', '1.3.0', { group: 'blocks', why: 'whom people block, and who blocks them' }),
  relation('mutes', '1.3.0', { group: 'blocks', why: 'whom people do not want to see' }),
  { table: 'account_domain_blocks', group: 'blocks', since: '1.3.0', why: 'the servers that people block' },
]

const PERSONAL: readonly KeptRow[] = [
  {
    ...{ table: 'tags', group: 'personal', since: '2.8.0', before: '3.0.0' },
    where: 'id IN (SELECT tag_id FROM featured_tags)',
    why: 'featured hashtags',
  },
  {
    ...{ table: 'tags', group: 'personal', since: '3.0.0', before: '4.0.0' },
    where: 'reviewed_at IS NOT NULL OR id IN (SELECT tag_id FROM featured_tags)',
    why: 'featured hashtags, and those that a moderator has judged',
  },
  {
    ...{ table: 'tags', group: 'personal', since: '4.0.0', before: '4.6.0' },
    where: 'reviewed_at IS NOT NULL OR id IN (SELECT tag_id FROM featured_tags UNION SELECT tag_id FROM tag_follows)',
    why: 'featured and followed hashtags, and those that a moderator has judged',
  },
  {
    ...{ table: 'tags', group: 'personal', since: '4.6.0' },
    where: `reviewed_at IS NOT NULL
  OR id IN (SELECT tag_id FROM featured_tags UNION SELECT tag_id FROM tag_follows UNION SELECT tag_id FROM collections)`,
    why: 'featured and followed hashtags, and those that a moderator has judged',
  },
  {
    ...{ table: 'featured_tags', group: 'personal', since: '2.8.0', of: 'account_id' },
    set: { statuses_count: '0', last_status_at: 'NULL' },
    why: 'hashtags on profiles; the posts that they count are gone',
  },
  { table: 'tag_follows', group: 'personal', since: '4.0.0', why: 'hashtags that people follow' },
  { table: 'lists', group: 'personal', since: '2.1.0', why: 'the lists of people' },
  {
    ...{ table: 'list_accounts', group: 'follows', since: '2.1.0', accounts: ['account_id'] },
    why: 'who is on a list is somebody followed',
  },
  relation('account_pins', '2.5.0', { group: 'follows', why: 'whom people recommend is somebody followed' }),
  relation('account_notes', '3.2.0', { group: 'personal', why: 'what people noted about others' }),
  relation('account_migrations', '3.0.0', { group: 'identity', why: 'where an account has moved to' }),
  { table: 'account_aliases', group: 'identity', since: '3.0.0', why: 'from where an account has moved' },
  {
    ...{ table: 'account_identity_proofs', group: 'identity', since: '2.8.0', before: '3.5.0' },
    why: 'proofs on profiles',
  },
  { table: 'custom_filters', group: 'personal', since: '2.4.3', why: 'what people filter out' },
  { table: 'custom_filter_keywords', group: 'personal', since: '4.0.0', why: 'the words of the filters' },
  {
    ...{ table: 'notification_permissions', group: 'personal', since: '4.3.0' },
    accounts: ['account_id', 'from_account_id'],
    why: 'whose notifications people let through',
  },
  relation('follow_recommendation_mutes', '4.3.0', { group: 'personal', why: 'whom people want recommended no more' }),
  {
    ...{ table: 'collections', group: 'personal', since: '4.6.0', where: 'local', accounts: ['account_id'] },
    why: 'the collections of accounts that people publish',
  },
  {
    ...{ table: 'collection_items', group: 'personal', since: '4.6.0', accounts: ['account_id'] },
    where: 'collection_id IN (SELECT id FROM collections WHERE local)',
    why: 'the accounts in them',
  },
]

const MODERATION: readonly KeptRow[] = [
  { table: 'domain_blocks', group: 'moderation', since: '1.3.0', why: 'blocked and limited servers' },
  { table: 'domain_allows', group: 'moderation', since: '3.0.0', why: 'the servers of a limited federation' },
  {
    table: 'email_domain_blocks',
    group: 'moderation',
    since: '2.0.0',
    why: 'e-mail providers that nobody signs up with',
  },
  { table: 'canonical_email_blocks', group: 'moderation', since: '3.4.0', why: 'addresses of suspended people' },
  { table: 'ip_blocks', group: 'moderation', since: '3.3.0', why: 'blocked addresses' },
  { table: 'username_blocks', group: 'moderation', since: '4.5.0', why: 'names that nobody may take' },
  relation('account_moderation_notes', '2.0.0', { group: 'moderation', why: 'what moderators noted about accounts' }),
  { table: 'instance_moderation_notes', group: 'moderation', since: '4.4.0', why: 'what they noted about servers' },
  { table: 'account_warning_presets', group: 'moderation', since: '2.7.0', why: 'texts of warnings' },
  {
    ...{ table: 'account_warnings', group: 'moderation', since: '2.7.0', before: '3.5.0' },
    accounts: ['account_id', 'target_account_id'],
    why: 'who was warned',
  },
  {
    ...{ table: 'account_warnings', group: 'moderation', since: '3.5.0' },
    accounts: ['account_id', 'target_account_id'],
    set: { report_id: 'NULL' },
    why: 'who was warned; the reports, and the posts that they show, are gone',
  },
  { table: 'appeals', group: 'moderation', since: '3.5.0', why: 'what those who were warned say to it' },
  { table: 'preview_card_providers', group: 'moderation', since: '3.5.0', why: 'which sites may trend' },
  {
    ...{ table: 'follow_recommendation_suppressions', group: 'moderation', since: '3.4.0', accounts: ['account_id'] },
    why: 'who is not recommended',
  },
]

const SETTINGS: readonly KeptRow[] = [
  {
    ...{ table: 'settings', group: 'settings', since: '1.3.0', before: '4.4.0', where: 'thing_id IS NULL' },
    why: 'the settings of the server',
  },
  { table: 'settings', group: 'settings', since: '4.4.0', why: 'the settings of the server' },
  { table: 'site_uploads', group: 'settings', since: '1.6.1', why: 'its pictures; the files stay where they are' },
  { table: 'rules', group: 'settings', since: '3.4.0', why: 'the rules' },
  { table: 'rule_translations', group: 'settings', since: '4.4.0', why: 'the rules in other languages' },
  { table: 'terms_of_services', group: 'settings', since: '4.4.0', why: 'the terms of service' },
  { table: 'announcements', group: 'settings', since: '3.1.0', why: 'announcements' },
  { table: 'announcement_mutes', group: 'settings', since: '3.1.0', why: 'announcements that people have closed' },
  { table: 'webhooks', group: 'settings', since: '4.0.0', why: 'who is told of what happens here' },
  { table: 'fasp_providers', group: 'settings', since: '4.4.0', why: 'auxiliary services, with their keys' },
  { table: 'fasp_subscriptions', group: 'settings', since: '4.4.0', why: 'what those have asked for' },
]

const EMOJI: readonly KeptRow[] = [
  { table: 'custom_emoji_categories', group: 'emoji', since: '3.0.0', why: 'the order of local emoji' },
  {
    ...{ table: 'custom_emojis', group: 'emoji', since: '2.0.0', where: 'domain IS NULL' },
    why: 'local emoji; the files stay where they are',
  },
]

const TOKENS: readonly KeptRow[] = [
  {
    ...{ table: 'oauth_applications', group: 'identity', since: '1.3.0', where: 'superapp' },
    why: 'the web interface itself: without it nobody could sign in',
  },
  {
    ...{ table: 'oauth_applications', group: 'tokens', since: '1.3.0', where: 'superapp IS NOT TRUE' },
    why: 'apps and bots sign in with them',
  },
  {
    ...{ table: 'oauth_access_tokens', group: 'tokens', since: '1.3.0', where: 'revoked_at IS NULL' },
    why: 'without them every bot stops and everybody has to sign in again',
  },
  {
    ...{ table: 'web_push_subscriptions', group: 'tokens', since: '1.5.0' },
    why: 'the apps believe that they are still subscribed',
  },
  {
    ...{ table: 'session_activations', group: 'tokens', since: '1.4.7' },
    references: [{ column: 'web_push_subscription_id', target: 'web_push_subscriptions', otherwise: 'empty' }],
    why: 'who is signed in',
  },
]

/**
 * What a reset keeps, in the order in which it is written: what a foreign key asks for stands before it, save for
 * circles (users and invites, users and applications) and rows that point to their own table, which are closed later.
 *
 * Left behind are posts and what hangs on them (mentions, favourites, bookmarks, pins, polls, edits, quotes, media,
 * preview cards, conversations, scheduled posts, trends), notifications, reports, logs, archives, reports of the year,
 * emoji of other servers and everything that Mastodon makes again by itself.
 *
 * Source: db/schema.rb of the first release of each minor series from 1.3 to 4.6, and of 4.7 as of July 2026.
 */
export const KEPT_ROWS: readonly KeptRow[] = [
  ...IDENTITY,
  ...USERS,
  ...FOLLOWS,
  ...BLOCKS,
  ...PERSONAL,
  ...MODERATION,
  ...SETTINGS,
  ...EMOJI,
  ...TOKENS,
]
