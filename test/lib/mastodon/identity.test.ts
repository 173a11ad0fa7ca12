import { createSign, createVerify, generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrationsUpTo } from '../../../src/lib/backends/direct/sandbox/migrations.js'
import { demoData } from '../../../src/lib/backends/direct/sandbox/seed.js'
import { KEPT_ROWS } from '../../../src/lib/mastodon/identity/tables.js'
import {
  DROPPABLE_GROUPS,
  KEPT_GROUPS,
  keptTables,
  LIST_TABLES,
  NEVER_IN_FRESH,
  REMOTE_FOLLOWERS,
  type RemoteFollowersRow,
  type Selection,
} from '../../../src/lib/mastodon/identity.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'
import type { Database } from '../../../src/lib/postgres/access.js'
import { type CopiedTable, copyTables } from '../../../src/lib/postgres/copy-rows.js'
import { sourceOf } from '../../../src/lib/postgres/row-source.js'
import { raiseSequences } from '../../../src/lib/postgres/sequences.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'

const ERAS = ['1.3.0', '1.5.1', '2.4.5', '2.9.4', '3.5.13', '4.0.0', '4.2.9', '4.3.8', '4.5.3', '4.7.2']
const { of } = MastodonVersion

const named = (release: string, selection?: Selection) => keptTables(of(release), selection).map(({ table }) => table)

describe('what is kept', () => {
  test.each(ERAS)('in %s stands once, or with conditions of its own', release => {
    const tables = keptTables(of(release))
    const conditions = tables.map(({ table, where }) => `${table} ${where}`)
    expect(new Set(conditions).size).toBe(tables.length)
    const twice = tables.filter(({ table }, at) => tables.findIndex(other => other.table === table) !== at)
    const applications = ['oauth_applications']
    expect(twice.map(({ table }) => table)).toEqual(
      of(release).before('4.4.0') ? ['settings', ...applications] : applications,
    )
    expect(tables.every(({ why, group }) => why !== '' && group in KEPT_GROUPS)).toBe(true)
  })

  test.each([
    ['subscriptions', '1.3.0', '3.0.0'],
    ['session_activations', '1.4.7', undefined],
    ['custom_emojis', '2.0.0', undefined],
    ['relays', '2.5.0', undefined],
    ['account_stats', '2.7.0', undefined],
    ['ip_blocks', '3.3.0', undefined],
    ['user_roles', '4.0.0', undefined],
    ['username_blocks', '4.5.0', undefined],
    ['keypairs', '4.6.0', undefined],
  ])('%s came with %s and left with %s', (table, since, before) => {
    const rows = KEPT_ROWS.filter(row => row.table === table)
    expect(rows.map(row => [row.since, row.before])).toEqual([[since, before]])
  })

  test('never posts and what hangs on them, nor what Mastodon makes again', () => {
    const never = [
      'statuses',
      'media_attachments',
      'notifications',
      'conversations',
      'preview_cards',
      'mentions',
      'backups',
    ]
    const kept = new Set(KEPT_ROWS.map(({ table }) => table))
    expect(
      [...never, 'favourites', 'bookmarks', 'status_pins', 'quotes', 'reports'].filter(table => kept.has(table)),
    ).toEqual([])
  })

  test('is left out by name, and the accounts that only such rows point to with it', () => {
    for (const group of DROPPABLE_GROUPS) {
      const tables = keptTables(of('4.7.2'), { drop: [group] })
      expect(tables.filter(row => row.group === group)).toEqual([])
      expect(tables.length).toBeLessThan(keptTables(of('4.7.2')).length)
    }
    const accounts = (selection: Selection) =>
      keptTables(of('4.7.2'), selection).find(row => row.table === 'accounts')?.where
    expect(accounts({})).toContain('FROM mutes')
    expect(accounts({ drop: ['blocks'] })).not.toContain('FROM mutes')
    expect(accounts({ withoutFollows: true })).not.toMatch(/FROM (follows|follow_requests|list_accounts|account_pins)/)
    expect(named('4.7.2', { withoutFollows: true })).not.toContain('follows')
  })

  test.each([['identity'], ['follows'], ['no-such-group']])('%s cannot be left out by name', group => {
    expect(() => keptTables(of('4.5.3'), { drop: ['tokens', group] })).toThrow(
      expect.objectContaining({ exitCode: 2, code: 'not-droppable', message: expect.stringContaining(group) }),
    )
  })
})

let server: TestPostgres
let resets = 0

beforeAll(async () => {
  server = await startPostgres()
})

afterAll(() => server?.stop())

/** Made once; what a server tells others of itself. */
const pair = generateKeyPairSync('rsa', {
  ...{ modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' } },
  privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
} as const)

interface Reset {
  old: Database
  fresh: Database
  result: CopiedTable[]
}

/** An old database with people in it, and a fresh one as a release's own seed leaves it, after a reset's copy. */
async function reset(release: string, selection: Selection = {}): Promise<Reset> {
  const version = of(release)
  resets += 1
  const name = `${release} ${resets}`
  const setup = await server.open(await server.createDatabase(`new ${name}`))
  await setup.write(
    migrationsUpTo(release)
      .map(({ sql }) => sql)
      .join(';\n'),
  )
  await setup.close()
  const maker = await server.open()
  await maker.write(`CREATE DATABASE "old ${name}" TEMPLATE "new ${name}"`)
  await maker.close()
  const [old, fresh] = [await server.open(`old ${name}`), await server.open(`new ${name}`)]
  for (const sql of demoData(release, { statuses: 30, remoteAccounts: 20 })) await old.write(sql)
  for (const sql of peopleOf(version)) await old.write(sql)
  for (const sql of seedOf(version)) await fresh.write(sql)
  const tables = (await old.query<{ table: string }>(LIST_TABLES.sql)).map(({ table }) => table)
  const kept = keptTables(version, { ...selection, tables })
  const result = await copyTables(sourceOf(old), fresh, kept, { mustBeEmpty: NEVER_IN_FRESH })
  return { old, fresh, result }
}

const STAMPS = 'created_at, updated_at'
const insert = (table: string, columns: string, values: string) =>
  `INSERT INTO ${table} (${STAMPS}, ${columns}) SELECT now(), now(), ${values}`

/**
 * Remote accounts of the demo data: 101 and 102 have to do with local ones, 115 with nobody but for what is added here:
 * 105 is muted, 110 is limited, 120 is where bob has moved, 104 is limited with its server.
 */
function peopleOf(version: MastodonVersion): string[] {
  const keys = `public_key = '${pair.publicKey}', private_key = '${pair.privateKey}'`
  const limited = version.atLeast('2.9.0') ? 'suspended_at = now()' : 'suspended = true'
  return [
    `UPDATE ${version.atLeast('4.7.0') ? 'keypairs' : 'accounts'} SET ${keys} WHERE ${version.atLeast('4.7.0') ? 'account_id' : 'id'} = 1`,
    'DELETE FROM follows WHERE account_id IN (104, 105, 110, 115, 120) OR target_account_id IN (104, 105, 110, 115, 120)',
    insert('mutes', 'account_id, target_account_id', '1, 105'),
    insert('domain_blocks', 'domain, severity', 'domain, 1 FROM accounts WHERE id = 104'),
    `UPDATE accounts SET ${limited} WHERE id IN (104, 110)`,
    "UPDATE accounts SET domain = 'elsewhere.example' WHERE id = 110",
    ...(version.atLeast('2.1.0') ? personal() : []),
    ...(version.before('4.4.0')
      ? [insert('settings', 'var, value, thing_type, thing_id', "'theme', '--- dark', 'User', 3")]
      : []),
    ...(version.atLeast('2.8.0') ? ['UPDATE users SET created_by_application_id = 1 WHERE id = 2'] : []),
    ...(version.atLeast('3.5.0') ? reported() : []),
    ...(version.atLeast('4.0.0')
      ? [
          "INSERT INTO user_roles (id, name, position, permissions, created_at, updated_at) VALUES (77, 'Gardener', 5, 4, now(), now())",
          'UPDATE users SET role_id = 77 WHERE id = 3',
        ]
      : []),
  ]
}

function personal(): string[] {
  return [
    'UPDATE accounts SET moved_to_account_id = 120 WHERE id = 2',
    insert('lists', 'account_id, title', "1, 'friends'"),
    'INSERT INTO list_accounts (list_id, account_id, follow_id) SELECT 1, target_account_id, id FROM follows WHERE account_id = 1 AND target_account_id > 100 LIMIT 1',
    insert('invites', 'user_id, code', "1, 'welcome'"),
    'UPDATE users SET invite_id = 1 WHERE id = 2',
  ]
}

function reported(): string[] {
  return [
    insert('reports', 'account_id, target_account_id', '1, 2'),
    insert('account_warnings', 'account_id, target_account_id, report_id', '1, 2, (SELECT max(id) FROM reports)'),
  ]
}

/** Of other ids than the old database's where it can be so. Source: db/seeds @v2.4.0, @v4.5.0. */
function seedOf(version: MastodonVersion): string[] {
  const application = insert(
    'oauth_applications',
    'id, name, uid, secret, redirect_uri, superapp',
    "9, 'Web', 'fresh-uid', 'fresh', 'urn', true",
  )
  if (version.before('4.0.0')) return [application]
  return [
    application,
    insert('accounts', 'id, username, uri', "-99, 'mastodon.internal', 'urn:fresh'"),
    ...(version.atLeast('4.7.0')
      ? [insert('keypairs', 'account_id, type, public_key, private_key', "-99, 0, 'fresh', 'fresh'")]
      : []),
    'DELETE FROM user_roles',
    insert(
      'user_roles',
      'id, name, permissions',
      "role.* FROM (VALUES (-99, '', 65536), (1, 'Owner', 1), (77, 'Admin', 983036)) role",
    ),
    ...(version.atLeast('4.5.0')
      ? [insert('username_blocks', 'username, normalized_username', "'admin', 'admin'")]
      : []),
  ]
}

async function same(a: Database, b: Database, sql: string): Promise<object[]> {
  const [before, after] = [await a.query(sql), await b.query(sql)]
  expect(after).toEqual(before)
  expect(before.length).toBeGreaterThan(0)
  return after
}

const ids = async (db: Database, sql: string) => (await db.query<{ id: number }>(sql)).map(({ id }) => id)

describe.each(['2.4.5', '4.3.8', '4.5.3', '4.7.2'])('a reset of %s', release => {
  const version = of(release)
  let made: Reset

  beforeAll(async () => {
    made = await reset(release)
  })

  afterAll(async () => {
    await made?.old.close()
    await made?.fresh.close()
  })

  test('keeps every local account as it was, with its key pair, the server’s own too', async () => {
    const { old, fresh } = made
    const apart = version.before('2.7.0') ? " - 'statuses_count'" : ''
    const accounts = await same(
      old,
      fresh,
      `SELECT to_jsonb(a)${apart} AS a FROM accounts a WHERE domain IS NULL ORDER BY id`,
    )
    expect(accounts).toHaveLength(version.atLeast('3.0.0') ? 4 : 3)
    if (version.atLeast('4.6.0')) await same(old, fresh, 'SELECT to_jsonb(k) AS k FROM keypairs k ORDER BY id')
  })

  test('signs as before: who knew the key accepts what is signed afterwards', async () => {
    const keys = version.atLeast('4.7.0') ? 'keypairs WHERE account_id = 1' : 'accounts WHERE id = 1'
    const [row] = await made.fresh.query<{ private_key: string }>(`SELECT private_key FROM ${keys}`)
    const signature = createSign('sha256')
      .update('(request-target): post /inbox')
      .sign(row?.private_key ?? '')
    const verify = createVerify('sha256').update('(request-target): post /inbox')
    expect(verify.verify(pair.publicKey, signature)).toBe(true)
  })

  test('keeps follows, tokens, users, lists and settings, whole', async () => {
    const tables = ['follows', 'mutes', 'users', 'lists', 'list_accounts', 'oauth_applications', 'oauth_access_tokens']
    for (const table of [
      ...tables,
      'session_activations',
      'web_push_subscriptions',
      'settings',
      'domain_blocks',
      'invites',
    ]) {
      await same(made.old, made.fresh, `SELECT to_jsonb(t) AS row FROM ${table} t ORDER BY id`)
    }
    if (version.atLeast('4.0.0'))
      await same(made.old, made.fresh, 'SELECT to_jsonb(r) AS r FROM user_roles r ORDER BY id')
  })

  test('keeps the remote accounts that have to do with local ones, and no other', async () => {
    const expected = await ids(
      made.old,
      `SELECT id FROM accounts WHERE id > 100 AND (id IN (105, 110, 120) OR id IN
        (SELECT account_id FROM follows UNION SELECT target_account_id FROM follows)) ORDER BY id`,
    )
    expect(expected).not.toContain(115)
    expect(expected).not.toContain(104)
    expect(await ids(made.fresh, 'SELECT id FROM accounts WHERE id > 100 ORDER BY id')).toEqual(expected)
    await same(
      made.old,
      made.fresh,
      'SELECT to_jsonb(a) AS a FROM accounts a WHERE id IN (101, 105, 110, 120) ORDER BY id',
    )
  })

  test('leaves the posts behind, and what counts them or hangs on them', async () => {
    const { fresh, result } = made
    for (const table of ['statuses', 'media_attachments', 'notifications', 'mentions', 'favourites', 'preview_cards']) {
      expect(await fresh.query(`SELECT FROM ${table} LIMIT 1`), table).toEqual([])
    }
    const counts = version.atLeast('2.7.0') ? 'account_stats JOIN accounts ON accounts.id = account_id' : 'accounts'
    const counted = `SELECT max(statuses_count) AS posts, max(followers_count) > 0 AS followers FROM ${counts}`
    expect(await fresh.query(`${counted} WHERE domain IS NULL`)).toEqual([{ posts: 0, followers: true }])
    expect(await fresh.query('SELECT FROM custom_emojis WHERE domain IS NOT NULL')).toEqual([])
    const warning = [{ account_id: 1, report_id: null }]
    if (version.atLeast('3.5.0'))
      expect(await fresh.query('SELECT account_id, report_id FROM account_warnings')).toEqual(warning)
    expect(result.every(({ lost, left }) => lost.length === 0 && left === 0)).toBe(true)
  })

  test('gives out no id again', async () => {
    const { old, fresh } = made
    await raiseSequences(old, fresh)
    const rows: Array<[string, string, string]> = [
      ['accounts', 'username, uri', "'dora', 'urn:x:dora'"],
      ['statuses', 'account_id, text', "1, 'again'"],
      ['media_attachments', 'account_id', '1'],
      ['follows', 'account_id, target_account_id', '2, 3'],
      ['conversations', 'uri', 'NULL'],
    ]
    for (const [table, columns, values] of rows) {
      const [before] = await old.query<{ id: string }>(`SELECT max(id)::text AS id FROM ${table}`)
      const [after] = await fresh.query<{ id: string }>(`${insert(table, columns, values)} RETURNING id::text`)
      expect(BigInt(after?.id ?? 0) > BigInt(before?.id ?? 0), `${table}: ${after?.id} after ${before?.id}`).toBe(true)
    }
  })
})

describe('a reset that leaves something out', () => {
  test.each(process.env.MSTDN_TEST_FULL ? ['2.4.5', '4.5.3', '4.7.2'] : ['4.5.3'])(
    'of %s without the follows keeps those who are muted and limited',
    async release => {
      const { old, fresh } = await reset(release, { withoutFollows: true })
      expect(await ids(fresh, 'SELECT id FROM accounts WHERE id > 100 ORDER BY id')).toEqual([105, 110, 120])
      const counts = of(release).atLeast('2.7.0')
        ? 'account_stats JOIN accounts ON accounts.id = account_id'
        : 'accounts'
      const summed = `SELECT sum(followers_count + following_count) AS sum FROM ${counts} WHERE domain IS NULL`
      expect(Number((await old.query<{ sum: number }>(summed))[0]?.sum)).toBeGreaterThan(0)
      expect(Number((await fresh.query<{ sum: number }>(summed))[0]?.sum)).toBe(0)
      for (const table of ['follows', 'list_accounts']) expect(await fresh.query(`SELECT FROM ${table}`)).toEqual([])
      const [row] = await old.query<RemoteFollowersRow>(REMOTE_FOLLOWERS.sql)
      const remote = 'FROM follows WHERE account_id > 100 AND target_account_id < 100'
      const [counted] = await old.query<{ follows: number }>(`SELECT count(*) AS follows ${remote}`)
      expect(row?.follows).toBe(counted?.follows)
      expect(row?.followers).toBeGreaterThan(2)
      expect(row?.servers).toBeGreaterThan(1)
      await old.close()
      await fresh.close()
    },
  )

  test('keeps no pointer to it, though the fresh database has a row of that id', async () => {
    const { old, fresh } = await reset('4.5.3', { drop: ['roles', 'tokens', 'moderation'] })
    expect(await fresh.query('SELECT id FROM users WHERE role_id IS NOT NULL')).toEqual([])
    expect(await fresh.query('SELECT name FROM user_roles WHERE id = 77')).toEqual([{ name: 'Admin' }])
    await same(old, fresh, 'SELECT uid FROM oauth_applications WHERE superapp')
    expect(await fresh.query('SELECT FROM oauth_applications WHERE NOT superapp')).toEqual([])
    expect(await fresh.query('SELECT FROM domain_blocks UNION ALL SELECT FROM oauth_access_tokens')).toEqual([])
    expect(await ids(fresh, 'SELECT id FROM accounts WHERE id IN (104, 110)')).toEqual([])
    await old.close()
    await fresh.close()
  })

  test('of an era without foreign keys and with OStatus keeps the servers that take posts', async () => {
    const { old, fresh } = await reset('1.5.1')
    await same(old, fresh, 'SELECT to_jsonb(s) AS s FROM subscriptions s ORDER BY id')
    await same(old, fresh, 'SELECT to_jsonb(f) AS f FROM follows f ORDER BY id')
    await old.close()
    await fresh.close()
  })
})
