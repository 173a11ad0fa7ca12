import { type Columns, type Era, followOn, insert, stamped, when } from './era.js'
import { demoDomain, firstRemoteId } from './people.js'

export interface Size {
  readonly statuses: number
  readonly remoteAccounts: number
}

/** Statuses with what hangs on them, and who follows whom. */
export function content(era: Era, size: Size): string[] {
  return [
    follows(size),
    ...conversations(era, size),
    statuses(era, size),
    ...(era.has('2.0.0') ? [] : [followOn('statuses')]),
    media(),
    mentions(),
    favourites(size),
    notifications(era),
    ...tags(),
    ...previewCards(era),
    ...ostatus(era),
    ...customEmojis(era),
    ...counters(era),
    ...instanceSettings(era),
  ]
}

/** Every row of statuses with its place `i` in time, for choosing every n-th of them. */
const numbered = `FROM (
  SELECT statuses.*, accounts.domain, row_number() OVER (ORDER BY statuses.id) AS i
  FROM statuses JOIN accounts ON accounts.id = account_id
) s`

function follows(size: Size): string {
  const remote = `generate_series(${firstRemoteId}, ${firstRemoteId + size.remoteAccounts - 1}) AS remote`
  return insert(
    'follows',
    { account_id: 'follower', target_account_id: 'followed', ...stamped("now() - interval '100 days'") },
    `FROM (
  VALUES (1, 3), (3, 1), (2, 1)
  UNION ALL SELECT 1, remote FROM ${remote} WHERE remote % 5 < 2
  UNION ALL SELECT remote, 1 FROM ${remote} WHERE remote % 5 IN (1, 3)
) pairs (follower, followed)`,
  )
}

const statusesPerConversation = 6

function conversations(era: Era, size: Size): string[] {
  if (!era.has('1.4.1')) return []
  const last = Math.ceil(size.statuses / statusesPerConversation)
  const uri = `CASE WHEN i % 8 = 0 THEN NULL ELSE 'tag:example.net,2026:objectId=' || i || ':objectType=Conversation' END`
  const rows = insert('conversations', { id: 'i', uri, ...stamped() }, `FROM generate_series(1, ${last}) i`)
  return [rows, followOn('conversations')]
}

/**
 * One status in twelve is local, one in ten a boost. Remote authors are drawn so that a few write most: the square of
 * an even spread. One every 20 minutes, the newest now.
 */
function statuses(era: Era, size: Size): string {
  const author = `CASE WHEN i % 12 = 0 THEN 1 + 2 * (i / 12 % 2)
    ELSE ${firstRemoteId} + floor(${size.remoteAccounts} * ((i * 7919 % 1000) / 1000.0) ^ 2)::int END`
  return insert(
    'statuses',
    statusColumns(era),
    `FROM (
  SELECT row.*, accounts.domain, accounts.username FROM (
    SELECT i, moment, ${author} AS author, ${statusId(era)} AS id
    FROM generate_series(1, ${size.statuses}) i
    CROSS JOIN LATERAL (SELECT now()::timestamp - (${size.statuses} - i) * interval '20 minutes' AS moment) time
  ) row JOIN accounts ON accounts.id = author
) s ORDER BY i`,
  )
}

/** Ids count up until 1.6 and hold their time from 2.0.0 on. */
function statusId(era: Era): string {
  return era.has('2.0.0') ? '((extract(epoch FROM moment) * 1000)::bigint << 16) + i % 65536' : 'i'
}

function statusColumns(era: Era): Columns {
  const uri = `'https://' || coalesce(domain, '${demoDomain}') || '/users/' || username || '/statuses/' || id`
  return {
    id: 'id',
    account_id: 'author',
    uri: era.has('1.6.0') ? uri : `CASE WHEN domain IS NULL THEN NULL ELSE ${uri} END`,
    text: `CASE WHEN i % 10 = 3 THEN '' ELSE 'A status of the sandbox, number ' || i END`,
    ...stamped('moment'),
    reblog_of_id: 'CASE WHEN i % 10 = 3 THEN lag(id) OVER (ORDER BY i) END',
    in_reply_to_id: 'CASE WHEN i % 10 = 5 THEN lag(id) OVER (ORDER BY i) END',
    reply: 'i % 10 = 5',
    visibility: 'CASE WHEN i % 10 = 7 THEN 2 ELSE 0 END',
    language: "'en'",
    ...when(era.has('1.4.1'), { conversation_id: `(i - 1) / ${statusesPerConversation} + 1` }),
    ...when(era.has('1.6.0'), { local: 'domain IS NULL' }),
  }
}

/** Two thirds of the remote files are cached here. */
function media(): string {
  const cached = 'domain IS NULL OR i % 9 <> 1'
  return insert(
    'media_attachments',
    {
      status_id: 'id',
      account_id: 'account_id',
      remote_url: `CASE WHEN domain IS NULL THEN '' ELSE 'https://files.' || domain || '/' || id || '.jpg' END`,
      file_file_name: `CASE WHEN ${cached} THEN id || '.jpg' END`,
      file_content_type: "'image/jpeg'",
      file_file_size: `CASE WHEN ${cached} THEN (50000 + i * 131 % 750000)::integer END`,
      ...stamped('created_at'),
    },
    `${numbered} WHERE i % 3 = 1 AND i % 2 = 1 AND reblog_of_id IS NULL ORDER BY i`,
  )
}

function mentions(): string {
  return insert(
    'mentions',
    { account_id: 'CASE WHEN i % 10 = 0 THEN 3 ELSE 1 END', status_id: 'id', ...stamped('created_at') },
    `${numbered} WHERE i % 5 = 0 AND domain IS NOT NULL ORDER BY i`,
  )
}

function favourites(size: Size): string {
  return insert(
    'favourites',
    { account_id: `${firstRemoteId} + i * 31 % ${size.remoteAccounts}`, status_id: 'id', ...stamped('created_at') },
    `${numbered} WHERE i % 5 = 2 ORDER BY i`,
  )
}

function notifications(era: Era): string {
  return insert(
    'notifications',
    {
      account_id: 'mentions.account_id',
      activity_id: 'mentions.id',
      activity_type: "'Mention'",
      from_account_id: 'statuses.account_id',
      ...stamped('statuses.created_at'),
      ...when(era.has('3.3.0'), { type: "'mention'" }),
    },
    'FROM mentions JOIN statuses ON statuses.id = mentions.status_id ORDER BY mentions.id',
  )
}

function tags(): string[] {
  const names = ['birds', 'books', 'bread', 'maps', 'music', 'trains']
  const rows = `FROM unnest(ARRAY[${names.map(name => `'${name}'`).join(', ')}]) name`
  return [
    insert('tags', { name: 'name', ...stamped() }, rows),
    insert(
      'statuses_tags',
      { status_id: 's.id', tag_id: 'tags.id' },
      `${numbered} JOIN (SELECT id, row_number() OVER (ORDER BY id) AS place FROM tags) tags
  ON place = 1 + i / 15 % ${names.length} WHERE i % 15 = 4`,
    ),
  ]
}

/** A card belonged to one status before 1.6.0 and is shared since. */
function previewCards(era: Era): string[] {
  const shared = era.has('1.6.0')
  const card = {
    url: "'https://example.org/articles/' || i",
    title: "'Article ' || i",
    description: "'An article'",
    image_file_name: "'card.jpg'",
    image_file_size: '40000',
    ...stamped('created_at'),
    ...when(!shared, { status_id: 'id' }),
  }
  const cards = insert('preview_cards', card, `${numbered} WHERE i % 20 = 9 ORDER BY i`)
  if (!shared) return [cards]
  const link = { preview_card_id: 'preview_cards.id', status_id: 's.id' }
  const joined = `${numbered} JOIN preview_cards ON preview_cards.url = 'https://example.org/articles/' || i`
  return [cards, insert('preview_cards_statuses', link, joined)]
}

/** One entry for each status, until OStatus went with 3.0.0. */
function ostatus(era: Era): string[] {
  if (era.has('3.0.0')) return []
  const entry = { account_id: 'account_id', activity_id: 'id', activity_type: "'Status'", ...stamped('created_at') }
  const subscription = {
    callback_url: `'https://' || domain || '/api/subscriptions/1'`,
    confirmed: 'true',
    expires_at: "now() + interval '5 days'",
    account_id: '1',
    ...stamped(),
  }
  return [
    insert('stream_entries', entry, 'FROM statuses ORDER BY id'),
    insert('subscriptions', subscription, 'FROM (SELECT DISTINCT domain FROM accounts WHERE domain IS NOT NULL) d'),
  ]
}

function customEmojis(era: Era): string[] {
  if (!era.has('2.0.0')) return []
  const columns = {
    shortcode: "'blob' || i",
    domain: `CASE WHEN i > 4 THEN 'example.net' END`,
    image_file_name: "'blob.png'",
    image_file_size: '12000',
    ...stamped(),
  }
  return [insert('custom_emojis', columns, 'FROM generate_series(1, 12) i')]
}

/** Where the counters of statuses (own table from 2.5.0) and of accounts (from 2.7.0) stand. */
function counters(era: Era): string[] {
  return [...statusCounters(era), ...accountCounters(era)]
}

function statusCounters(era: Era): string[] {
  if (!era.has('2.5.0'))
    return ['UPDATE statuses SET favourites_count = 1 WHERE id IN (SELECT status_id FROM favourites)']
  const columns = { status_id: 'status_id', favourites_count: 'count(*)', ...stamped() }
  return [insert('status_stats', columns, 'FROM favourites GROUP BY status_id')]
}

function accountCounters(era: Era): string[] {
  const counts = {
    statuses_count: '(SELECT count(*) FROM statuses WHERE account_id = accounts.id)',
    following_count: '(SELECT count(*) FROM follows WHERE account_id = accounts.id)',
    followers_count: '(SELECT count(*) FROM follows WHERE target_account_id = accounts.id)',
  }
  const assignments = Object.entries(counts).map(([column, count]) => `${column} = ${count}`)
  if (!era.has('2.7.0')) return [`UPDATE accounts SET ${assignments.join(', ')}`]
  return [insert('account_stats', { account_id: 'id', ...counts, ...stamped() }, 'FROM accounts')]
}

/** Values are YAML documents. */
function instanceSettings(era: Era): string[] {
  const values: [string, string][] = [
    ['site_title', '--- The sandbox\n'],
    ['site_contact_username', '--- alice\n'],
    ['site_contact_email', '--- alice@example.com\n'],
    era.has('2.8.0') ? ['registrations_mode', '--- approved\n'] : ['open_registrations', '--- false\n'],
  ]
  return values.map(([name, value]) =>
    insert('settings', { var: `'${name}'`, value: `E'${value.replaceAll('\n', '\\n')}'`, ...stamped() }),
  )
}
