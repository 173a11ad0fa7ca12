import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrationsUpTo } from '../../../src/lib/backends/direct/sandbox/migrations.js'
import { demoData } from '../../../src/lib/backends/direct/sandbox/seed.js'
import { baselineRules } from '../../../src/lib/mastodon/baseline.js'
import { DROPPABLE_GROUPS, keptTables, LIST_TABLES, type Selection } from '../../../src/lib/mastodon/identity.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'
import type { Database } from '../../../src/lib/postgres/access.js'
import { mergeTables } from '../../../src/lib/postgres/merge-rows.js'
import { sourceOf } from '../../../src/lib/postgres/row-source.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const { of } = MastodonVersion

let server: TestPostgres
let made = 0

beforeAll(async () => {
  server = await startPostgres()
})

afterAll(() => server?.stop())

const STAMPS = 'created_at, updated_at'
const insert = (table: string, columns: string, values: string) =>
  `INSERT INTO ${table} (${STAMPS}, ${columns}) SELECT now(), now(), ${values}`

/** What may happen to a server after its baseline was taken; each of it may happen, in any order, after any other. */
function events(version: MastodonVersion): Record<string, string[]> {
  const suspended = version.atLeast('2.9.0') ? 'suspended_at = now()' : 'suspended = true'
  const reviewed = version.atLeast('3.0.0') ? "UPDATE tags SET reviewed_at = now(), name = 'again' WHERE id = 9001" : ''
  const keys = version.atLeast('4.7.0') ? 'keypairs SET private_key' : 'accounts SET private_key'
  return {
    deleted: ['DELETE FROM users WHERE account_id = 3', 'DELETE FROM accounts WHERE id = 3'],
    'deleted, the name reserved': ['DELETE FROM users WHERE account_id = 2'],
    suspended: [`UPDATE accounts SET ${suspended} WHERE id = 2`],
    'signed up': [
      `${insert('accounts', 'id, username, uri', "50, 'dora', 'urn:x:dora'")} ON CONFLICT DO NOTHING`,
      `${insert('users', 'id, email, account_id', "50, 'dora@example.com', 50")} ON CONFLICT DO NOTHING`,
    ],
    'met again under another id': [
      'DELETE FROM accounts WHERE id = 105',
      `${insert('accounts', 'id, username, domain, uri', "950, username, domain, 'urn:x:950' FROM before_accounts WHERE id = 105")}
       ON CONFLICT DO NOTHING`,
      `${insert('follows', 'account_id, target_account_id', '950, 1 WHERE EXISTS (SELECT FROM accounts WHERE id = 950)')}
       ON CONFLICT DO NOTHING`,
    ],
    'an id of another': [
      "UPDATE accounts SET username = 'somebody' WHERE id = 106",
      `${insert('mutes', 'account_id, target_account_id', '1, 106 WHERE EXISTS (SELECT FROM accounts WHERE id = 106)')}
       ON CONFLICT DO NOTHING`,
    ],
    unfollowed: ['DELETE FROM follows WHERE id % 2 = 0'],
    'a hashtag made again': [
      'DELETE FROM tags WHERE id = (SELECT min(id) FROM before_tags)',
      `${insert('tags', 'id, name', '9001, name FROM before_tags ORDER BY id LIMIT 1')} ON CONFLICT DO NOTHING`,
      reviewed.replace(", name = 'again'", ''),
    ],
    'another key': [`UPDATE ${keys} = 'changed' WHERE private_key IS NOT NULL`],
    'a server blocked': [insert('domain_blocks', 'domain, severity', 'domain, 1 FROM before_accounts WHERE id = 104')],
    'emptied before': ['DELETE FROM statuses', 'DELETE FROM media_attachments'],
    'tokens revoked': ['DELETE FROM oauth_access_tokens'],
    'an emoji made again': [`UPDATE custom_emojis SET id = id + 5000 WHERE domain IS NULL AND id < 5000`],
    'remote accounts culled': [
      'DELETE FROM accounts WHERE domain IS NOT NULL AND id % 3 = 0 AND id NOT IN (SELECT account_id FROM follows)',
    ],
  }
}

interface Case {
  live: Database
  baseline: Database
  /** Of the restored baseline, before anything was merged. */
  before: Database
  close(): Promise<void>
}

interface Base {
  /** A template, to which nobody may be connected. */
  name: string
  /** What every copy of it was in the beginning. */
  before: Database
}

async function template(release: string): Promise<Base> {
  const name = await server.createDatabase(`base ${release}`)
  const setup = await server.open(name)
  for (const { sql } of migrationsUpTo(release)) await setup.write(sql)
  for (const sql of demoData(release, { statuses: 60, remoteAccounts: 12 })) await setup.write(sql)
  await setup.write(insert('statuses', 'account_id, text', "2, 'of bob'"))
  await setup.write('CREATE SCHEMA before; CREATE TABLE before.before_accounts AS SELECT * FROM accounts')
  await setup.write('CREATE TABLE before.before_tags AS SELECT * FROM tags')
  await setup.close()
  const maker = await server.open()
  await maker.write(`CREATE DATABASE "before ${release}" TEMPLATE "${name}"`)
  await maker.close()
  return { name, before: await server.open(`before ${release}`) }
}

async function caseOf({ name: base, before }: Base, happened: readonly string[]): Promise<Case> {
  const names = ['live', 'baseline'].map(kind => `${kind} ${made++}`)
  const maker = await server.open()
  for (const name of names) await maker.write(`CREATE DATABASE "${name}" TEMPLATE "${base}"`)
  const [live, baseline] = [await server.open(names[0]), await server.open(names[1])]
  await live.write('SET search_path = public, before')
  for (const sql of happened) if (sql !== '') await live.write(sql)
  await live.write('SET search_path = public')
  const close = async () => {
    for (const database of [live, baseline]) await database.close()
    for (const name of names) await maker.write(`DROP DATABASE "${name}"`)
    await maker.close()
  }
  return { live, baseline, before, close }
}

async function keptOf(live: Database, version: MastodonVersion, selection: Selection) {
  const tables = (await live.query<{ table: string }>(LIST_TABLES.sql)).map(({ table }) => table)
  return { kept: keptTables(version, { ...selection, tables }), rules: baselineRules(version, tables) }
}

const rowsOf = async (database: Database, sql: string) =>
  (await database.query<{ row: string }>(sql)).map(({ row }) => row)

const FOREIGN_KEYS = `SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || convalidated AS row
  FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace ORDER BY 1`
const LOCAL_POSTS = (of: string) => `SELECT s.id::text AS row FROM statuses s WHERE account_id IN (${of}) ORDER BY 1`

/** Rows that changed on the way are compared without those columns. */
async function expectKept(merged: Case, version: MastodonVersion, selection: Selection): Promise<void> {
  const { kept, rules } = await keptOf(merged.live, version, selection)
  for (const { table, where = 'true', set = {} } of kept) {
    const apart = Object.keys(set)
      .map(column => ` - '${column}'`)
      .join('')
    const json = `(to_jsonb(t)${apart})::text AS row FROM "${table}" t`
    const ids = await rowsOf(merged.live, `SELECT id::text AS row FROM "${table}" WHERE ${where}`)
    const live = await rowsOf(merged.live, `SELECT ${json} WHERE ${where} ORDER BY id`)
    const list = ids.length === 0 ? 'NULL' : ids.join(',')
    expect(await rowsOf(merged.baseline, `SELECT ${json} WHERE id IN (${list}) ORDER BY id`), table).toEqual(live)
  }
  const whole = rules.tables.filter(table => !(table in rules.stays))
  for (const table of whole) {
    const wheres = kept.filter(row => row.table === table).map(({ where = 'true' }) => `(${where})`)
    const expected = await rowsOf(
      merged.live,
      `SELECT id::text AS row FROM "${table}" WHERE ${['false', ...wheres].join(' OR ')} ORDER BY id`,
    )
    expect(await rowsOf(merged.baseline, `SELECT id::text AS row FROM "${table}" ORDER BY id`), table).toEqual(expected)
  }
}

async function expectSound({ live, baseline, before }: Case, version: MastodonVersion): Promise<void> {
  expect(await rowsOf(baseline, FOREIGN_KEYS)).toEqual(await rowsOf(before, FOREIGN_KEYS))
  const local = 'SELECT id::text AS row FROM accounts WHERE domain IS NULL ORDER BY id'
  expect(await rowsOf(baseline, local)).toEqual(await rowsOf(live, local))
  const suspended = version.atLeast('2.9.0') ? 'suspended_at IS NULL' : 'NOT suspended'
  const there = await rowsOf(
    live,
    `SELECT account_id::text AS row FROM users WHERE account_id IN (SELECT id FROM accounts WHERE ${suspended})`,
  )
  const posts = LOCAL_POSTS(there.join(','))
  const boosts = 'SELECT id::text AS row FROM statuses WHERE reblog_of_id IS NOT NULL'
  const boost = new Set(await rowsOf(before, boosts))
  // What was boosted may be gone, and takes the boost along.
  const owned = async (database: Database) => (await rowsOf(database, posts)).filter(id => !boost.has(id))
  expect(await owned(baseline)).toEqual(await owned(before))
  const nobody =
    'SELECT id FROM accounts WHERE domain IS NULL AND id NOT IN (SELECT account_id FROM users WHERE account_id IS NOT NULL)'
  for (const table of ['statuses', 'media_attachments', 'favourites', 'mentions'])
    expect(
      await rowsOf(baseline, `SELECT id::text AS row FROM ${table} WHERE account_id IN (${nobody})`),
      table,
    ).toEqual([])
}

async function merge({ live, baseline }: Case, version: MastodonVersion, selection: Selection = {}) {
  const { kept, rules } = await keptOf(live, version, selection)
  return mergeTables(sourceOf(live), baseline, kept, rules)
}

describe.each(FULL ? ['2.4.5', '4.3.8', '4.7.2'] : ['2.4.5', '4.7.2'])(
  'a baseline of %s',
  { timeout: 600_000 },
  release => {
    const version = of(release)
    const all = events(version)
    let base: Base

    beforeAll(async () => {
      base = await template(release)
    })

    test('whatever has happened since, has the kept rows as they are now, and all keys hold', async () => {
      const happenings = fc.shuffledSubarray(Object.keys(all), { minLength: 3 })
      await fc.assert(
        fc.asyncProperty(happenings, async names => {
          const merged = await caseOf(
            base,
            names.flatMap(name => all[name] ?? []),
          )
          try {
            const copied = await merge(merged, version)
            expect(copied.every(({ left }) => left === 0)).toBe(true)
            await expectKept(merged, version, {})
            await expectSound(merged, version)
            // A merge that was broken off after its end is done once more.
            const state = await rowsOf(merged.baseline, 'SELECT t::text AS row FROM accounts t ORDER BY id')
            await merge(merged, version)
            expect(await rowsOf(merged.baseline, 'SELECT t::text AS row FROM accounts t ORDER BY id')).toEqual(state)
          } finally {
            await merged.close()
          }
        }),
        { numRuns: FULL ? 40 : 1, examples: [[Object.keys(all)]] },
      )
    })

    const posts = (database: Database, account: number) =>
      rowsOf(
        database,
        `SELECT id::text AS row FROM statuses WHERE account_id = ${account} AND reblog_of_id IS NULL ORDER BY id`,
      )

    const away: Readonly<Record<string, number>> = {
      deleted: 3,
      'met again under another id': 105,
      'an id of another': 106,
      'a server blocked': 104,
    }

    test.each(['suspended', 'deleted, the name reserved'])(
      'brings no posts back of who is gone or %s',
      async leaves => {
        const gone = { ...away, [leaves]: 2 }
        const happened = Object.keys(gone).flatMap(event => all[event] ?? [])
        const merged = await caseOf(base, happened)
        for (const id of Object.values(gone)) expect(await posts(merged.before, id), `${id}`).not.toEqual([])
        await merge(merged, version)
        for (const id of Object.values(gone)) expect(await posts(merged.baseline, id), `${id}`).toEqual([])
        expect(await posts(merged.baseline, 1)).toEqual(await posts(merged.before, 1))
        expect(await posts(merged.baseline, 107)).toEqual(await posts(merged.before, 107))
        await merged.close()
      },
    )

    test('brings servers and remote accounts back as they are moderated now', async () => {
      const merged = await caseOf(base, [])
      const names = [
        'a.limited.example',
        'notlimited.example',
        'alone.example',
        'A.b.blocked.example',
        'unblocked.example',
      ]
      for (const [at, domain] of names.entries()) {
        const id = 960 + at
        const account = insert('accounts', 'id, username, domain, uri', `${id}, 'far', '${domain}', 'urn:x:${id}'`)
        for (const database of [merged.live, merged.baseline]) await database.write(account)
        await merged.baseline.write(insert('statuses', 'account_id, text', `${id}, 'of ${domain}'`))
      }
      await merged.live.write(insert('domain_blocks', 'domain, severity', "'limited.example', 0"))
      await merged.live.write(insert('domain_blocks', 'domain, severity', "'Blocked.example', 1"))
      const [suspended, silenced] = version.atLeast('2.9.0')
        ? ['suspended_at = now()', 'silenced_at = (SELECT min(created_at) FROM domain_blocks WHERE severity = 0)']
        : ['suspended = true', 'silenced']
      await merged.live.write(`UPDATE accounts SET ${suspended} WHERE id = 962`)
      // Culled here is not deleted there: whom the live database does not know is in the backup.
      await merged.live.write('DELETE FROM accounts WHERE id = 964')
      await merge(merged, version)
      const far = 'id BETWEEN 960 AND 964 ORDER BY 1'
      const ids = (sql: string) => rowsOf(merged.baseline, sql)
      expect(await ids(`SELECT id::text AS row FROM accounts WHERE ${silenced} AND ${far}`)).toEqual(['960'])
      const posts = 'SELECT account_id::text AS row FROM statuses WHERE account_id BETWEEN 960 AND 964 ORDER BY 1'
      expect(await ids(posts)).toEqual(['960', '961', '964'])
      await merged.close()
    })

    test('has nothing of what is left out, and counts the posts that it has', async () => {
      const merged = await caseOf(base, all['emptied before'] ?? [])
      await merge(merged, version, { drop: ['tokens', 'moderation'], withoutFollows: true })
      for (const table of ['follows', 'oauth_access_tokens', 'session_activations', 'domain_blocks'])
        expect(await rowsOf(merged.baseline, `SELECT id::text AS row FROM ${table}`), table).toEqual([])
      await expectKept(merged, version, { drop: ['tokens', 'moderation'], withoutFollows: true })
      const [table, owner] = version.atLeast('2.7.0') ? ['account_stats', 'account_id'] : ['accounts', 'id']
      const counted = `SELECT statuses_count::text AS row FROM ${table} WHERE ${owner} IN (1, 107) ORDER BY ${owner}`
      expect(await rowsOf(merged.baseline, counted)).toEqual(await rowsOf(merged.before, counted))
      await merged.close()
    })

    test('can be merged without any one group', async () => {
      const merged = await caseOf(base, [])
      for (const group of FULL ? DROPPABLE_GROUPS : ['personal']) {
        await merge(merged, version, { drop: [group] })
        const { kept, rules } = await keptOf(merged.live, version, { drop: [group] })
        const left = rules.tables.filter(table => !(table in rules.stays) && !kept.some(row => row.table === table))
        for (const table of left)
          expect(await rowsOf(merged.baseline, `SELECT id::text AS row FROM "${table}"`), group).toEqual([])
      }
      await merged.close()
    })

    test.each(version.atLeast('2.7.0') ? ['scheduled'] : [])('publishes nothing that was %s then', async () => {
      const merged = await caseOf(base, [])
      await merged.baseline.write('INSERT INTO scheduled_statuses (id, account_id, scheduled_at) VALUES (1, 1, now())')
      await merged.baseline.write(
        'UPDATE media_attachments SET scheduled_status_id = 1 WHERE id = (SELECT min(id) FROM media_attachments)',
      )
      await merge(merged, version)
      expect(await rowsOf(merged.baseline, 'SELECT id::text AS row FROM scheduled_statuses')).toEqual([])
      expect(await rowsOf(merged.baseline, 'SELECT id::text AS row FROM media_attachments ORDER BY 1')).toEqual(
        await rowsOf(merged.before, 'SELECT id::text AS row FROM media_attachments ORDER BY 1'),
      )
      await merged.close()
    })

    test('that lacks a column is refused, and is as it was', async () => {
      const merged = await caseOf(base, ['ALTER TABLE users ADD since text'])
      await expect(merge(merged, version)).rejects.toMatchObject({
        ...{ code: 'other-schema', message: expect.stringContaining('users.since') },
      })
      expect(await rowsOf(merged.baseline, FOREIGN_KEYS)).toEqual(await rowsOf(merged.before, FOREIGN_KEYS))
      await merged.close()
    })
  },
)
