import { createHash } from 'node:crypto'
import { since } from './images.js'

type Row = Record<string, unknown>

export interface Demo {
  /** SQL that fills the tables of whatever era it meets: what a table lacks is left out. */
  readonly sql: string
  /** redis-cli commands, one a line. */
  readonly redis: string
}

export interface DemoOptions {
  readonly version: string
  readonly domain: string
  readonly otpSecret: string
  readonly redisNamespace?: string
}

/** How many posts are older than the 90 days that `statuses remove` keeps, and so on: tests may count on these. */
export const demoCounts = {
  localStatuses: 40,
  remoteStatuses: 120,
  remoteAccounts: 12,
  cachedMedia: 30,
  pushSubscriptions: 2,
} as const

const remoteDomains = ['remote.example', 'large.example', 'gone.example'] as const

/** Ids of the local accounts and of their users. */
export const people = { admin: 1, alice: 2, bob: 3, mallory: 4 } as const

const day = 86_400_000

/** One moment for all rows, so that a post has the same id wherever it is named. */
const now = Date.now()

export function demo(options: DemoOptions): Demo {
  return { sql: sql(options), redis: redis(options) }
}

function sql(options: DemoOptions): string {
  const tables: [string, Row[]][] = [
    ['accounts', [...localAccounts(options), ...remoteAccounts()]],
    ['users', users(options)],
    ['statuses', statuses(options)],
    ['follows', follows()],
    ['favourites', favourites(options)],
    ['media_attachments', media(options)],
    ['preview_cards', cards()],
    ['custom_emojis', emojis()],
    ['domain_blocks', [stamped(30, { id: 1, domain: 'blocked.example', severity: 1, reject_media: true })]],
    ['web_push_subscriptions', subscriptions()],
    ['subscriptions', oldSubscriptions()],
    [
      'session_activations',
      [stamped(1, { id: 1, user_id: people.alice, session_id: 'alice-session', user_agent: 'bed', ip: '192.0.2.1' })],
    ],
    [
      'webauthn_credentials',
      [
        stamped(20, {
          id: 1,
          user_id: people.alice,
          external_id: 'alice-key',
          public_key: 'standin',
          nickname: 'key',
          sign_count: 0,
        }),
      ],
    ],
  ]
  return [plant, ...tables.map(([table, rows]) => call(table, rows)), staff(options), sequences].join('\n')
}

/** Inserts rows with the columns that the table has. */
const plant = `
CREATE FUNCTION pg_temp.plant(wanted text, given jsonb) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE known text;
BEGIN
  SELECT string_agg(quote_ident(attname), ', ') INTO known FROM pg_attribute
   WHERE attrelid = to_regclass('public.' || wanted) AND attnum > 0 AND NOT attisdropped AND given->0 ? attname;
  IF known IS NULL THEN RETURN; END IF;
  EXECUTE format('INSERT INTO %I (%s) SELECT %s FROM jsonb_populate_recordset(NULL::%I, $1) ON CONFLICT DO NOTHING', wanted, known, known, wanted) USING given;
END $body$;`

/** Plain sequences go on behind the rows that were given an id. */
const sequences = `
DO $body$
DECLARE found record; highest bigint;
BEGIN
  FOR found IN SELECT c.relname, pg_get_serial_sequence(format('public.%I', c.relname), 'id') AS sequence
                 FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'id'
                WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
  LOOP
    CONTINUE WHEN found.sequence IS NULL;
    EXECUTE format('SELECT max(id) FROM %I', found.relname) INTO highest;
    IF highest > 0 THEN PERFORM setval(found.sequence, highest); END IF;
  END LOOP;
END $body$;
ANALYZE;`

function call(table: string, rows: Row[]): string {
  return `SELECT pg_temp.plant('${table}', $json$${JSON.stringify(rows)}$json$);`
}

function stamped(daysAgo: number, row: Row): Row {
  const at = new Date(now - daysAgo * day).toISOString()
  return { ...row, created_at: at, updated_at: at }
}

function localAccounts({ domain }: DemoOptions): Row[] {
  return Object.entries(people).map(([username, id]) =>
    stamped(100, {
      id,
      username,
      domain: null,
      // Control characters and a bidirectional override: a terminal must not see them raw.
      display_name: username === 'mallory' ? '\u001b[31mAdmin\u001b[0m \u202e' : username,
      uri: `https://${domain}/users/${username}`,
      private_key: `private-key-of-${username}`,
      public_key: `public-key-of-${username}`,
    }),
  )
}

function remoteAccounts(): Row[] {
  return range(demoCounts.remoteAccounts).map(index => {
    const domain = remoteDomains[index % remoteDomains.length]
    return stamped(90, {
      id: 100 + index,
      username: `remote${index}`,
      domain,
      display_name: '',
      uri: `https://${domain}/users/remote${index}`,
      public_key: 'standin',
      inbox_url: `https://${domain}/inbox`,
    })
  })
}

function users(options: DemoOptions): Row[] {
  const common = {
    encrypted_password: 'standin$unknown',
    confirmed_at: new Date(now - 99 * day).toISOString(),
    approved: true,
    disabled: false,
    locale: 'en',
    otp_required_for_login: false,
    ...withoutTwoFactor,
  }
  const user = (name: keyof typeof people, more: Row) =>
    stamped(100, { id: people[name], account_id: people[name], email: `${name}@${options.domain}`, ...common, ...more })
  return [
    user('admin', {}),
    user('alice', twoFactor(options)),
    user('bob', { confirmed_at: null, approved: false, confirmation_token: 'bob-token' }),
    user('mallory', {}),
  ]
}

const withoutTwoFactor: Row = {
  otp_backup_codes: null,
  otp_secret: null,
  encrypted_otp_secret: null,
  encrypted_otp_secret_iv: null,
  encrypted_otp_secret_salt: null,
  consumed_timestep: null,
  webauthn_id: null,
  confirmation_token: null,
}

/** A flag, codes, the secret of the era and, where the table exists, a security key. The salt names the key that sealed it. */
function twoFactor({ otpSecret, version }: DemoOptions): Row {
  const seal = createHash('sha256').update(otpSecret).digest('hex').slice(0, 16)
  return {
    otp_required_for_login: true,
    otp_backup_codes: ['code-one', 'code-two'],
    otp_secret: since(version, '4.3.0') ? 'sealed-by-active-record' : null,
    encrypted_otp_secret: 'sealed-by-otp-secret',
    encrypted_otp_secret_iv: 'iv',
    encrypted_otp_secret_salt: `key:${seal}`,
    consumed_timestep: 54_321,
    webauthn_id: 'alice-webauthn',
  }
}

/** Snowflakes from 2.0.0 on: milliseconds shifted by 16 bits. */
function statusId(version: string, index: number, at: number): string {
  return since(version, '2.0.0') ? ((BigInt(Math.trunc(at)) << 16n) + BigInt(index)).toString() : String(1000 + index)
}

interface Post {
  readonly id: string
  readonly account: number
  readonly daysAgo: number
  readonly domain: string
  readonly local: boolean
}

function posts({ version, domain }: DemoOptions): Post[] {
  const locals = range(demoCounts.localStatuses).map(index => ({
    account: 1 + (index % 4),
    daysAgo: index * 2,
    domain,
    local: true,
  }))
  const remotes = range(demoCounts.remoteStatuses).map(index => ({
    account: 100 + (index % demoCounts.remoteAccounts),
    daysAgo: index + 1,
    domain: remoteDomains[(index % demoCounts.remoteAccounts) % remoteDomains.length] ?? '',
    local: false,
  }))
  return [...locals, ...remotes].map((post, index) => ({
    ...post,
    id: statusId(version, index, now - post.daysAgo * day),
  }))
}

function statuses(options: DemoOptions): Row[] {
  return posts(options).map((post, index) =>
    stamped(post.daysAgo, {
      id: post.id,
      account_id: post.account,
      text: `post ${index}`,
      local: post.local,
      visibility: 0,
      spoiler_text: '',
      uri: post.local && !since(options.version, '1.6.0') ? null : `https://${post.domain}/statuses/${post.id}`,
    }),
  )
}

function follows(): Row[] {
  return range(6).map(index => stamped(80, { id: index + 1, account_id: people.alice, target_account_id: 100 + index }))
}

/** Alice likes the first five remote posts: `statuses remove` keeps those. */
function favourites(options: DemoOptions): Row[] {
  const liked = posts(options)
    .filter(post => !post.local)
    .slice(-5)
  return liked.map((post, index) => stamped(1, { id: index + 1, account_id: people.alice, status_id: post.id }))
}

function media(options: DemoOptions): Row[] {
  const all = posts(options)
  const local = all.filter(post => post.local).slice(0, 5)
  const remote = all.filter(post => !post.local).slice(0, demoCounts.cachedMedia)
  return [...local, ...remote].map((post, index) =>
    stamped(post.daysAgo, {
      id: index + 1,
      account_id: post.account,
      status_id: post.id,
      type: 0,
      file_file_name: `file${index}.png`,
      file_content_type: 'image/png',
      file_file_size: 100_000,
      remote_url: post.local ? '' : `https://${post.domain}/media/${index}.png`,
    }),
  )
}

function cards(): Row[] {
  return range(8).map(index =>
    stamped(index * 50, {
      id: index + 1,
      url: `https://news.example/${index}`,
      title: `news ${index}`,
      description: '',
      type: 0,
      image_file_name: `card${index}.png`,
      image_file_size: 50_000,
    }),
  )
}

function emojis(): Row[] {
  return ['remote.example', null].map((domain, index) =>
    stamped(50, { id: index + 1, shortcode: 'blob', domain, image_file_name: 'blob.png', image_file_size: 1000 }),
  )
}

function subscriptions(): Row[] {
  return range(demoCounts.pushSubscriptions).map(index =>
    stamped(10, {
      id: index + 1,
      endpoint: `https://push.example/${index}`,
      key_p256dh: 'p256dh',
      key_auth: 'auth',
      data: { alerts: { mention: true } },
      standard: true,
      user_id: people.alice,
    }),
  )
}

/** WebSub subscriptions, which `push:clear` removed before 2.6. */
function oldSubscriptions(): Row[] {
  return [
    stamped(10, {
      id: 1,
      callback_url: 'https://remote.example/api/subscriptions/1',
      account_id: people.alice,
      confirmed: true,
    }),
  ]
}

function staff({ version }: DemoOptions): string {
  if (!since(version, '4.0.0')) return `UPDATE users SET admin = true WHERE id = ${people.admin};`
  return `UPDATE users SET role_id = (SELECT id FROM user_roles WHERE name = 'Owner') WHERE id = ${people.admin};`
}

function redis({ redisNamespace, version }: DemoOptions): string {
  const key = (name: string) => (redisNamespace ? `${redisNamespace}:${name}` : name)
  const seconds = now / 1000
  return [
    // The stand-in's Sidekiq leaves paused queues alone, so their jobs stay to be looked at.
    'SADD standin:paused pull',
    ...range(3).map(index => `LPUSH ${key('queue:pull')} ${job('ThreadResolveWorker', 'pull', index, seconds - 600)}`),
    `SADD ${key('queues')} default push pull mailers${since(version, '3.3.0') ? ' scheduler' : ''}${since(version, '4.0.0') ? ' ingress' : ''}`,
    ...range(2).map(
      index =>
        `ZADD ${key('retry')} ${seconds + 3600 + index} ${job('ActivityPub::DeliveryWorker', 'push', 10 + index, seconds - 900, 'connect timed out')}`,
    ),
    `ZADD ${key('dead')} ${seconds - 86_400} ${job('ActivityPub::DeliveryWorker', 'push', 20, seconds - 90_000, 'certificate has expired')}`,
    `ZADD ${key('schedule')} ${seconds + 86_400} ${job('PublishScheduledStatusWorker', 'default', 30, seconds)}`,
    `SET ${key('stat:processed')} 12345`,
    `SET ${key('stat:failed')} 67`,
    `ZADD ${key('feed:home:2')} 1 1001 2 1002`,
    ...range(3).map(index => `SET ${redisNamespace ? `${redisNamespace}_cache` : 'cache'}:entry${index} value`),
    '',
  ].join('\n')
}

/** A job in Sidekiq's JSON, quoted for redis-cli's own line syntax. */
function job(name: string, queue: string, index: number, at: number, error?: string): string {
  const failure = error
    ? { error_message: error, error_class: 'HTTP::TimeoutError', failed_at: at, retry_count: 3 }
    : {}
  const body = {
    class: name,
    args: [index],
    queue,
    retry: 16,
    jid: index.toString(16).padStart(24, '0'),
    created_at: at,
    enqueued_at: at,
    ...failure,
  }
  return JSON.stringify(JSON.stringify(body))
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index)
}
