import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { migrations, migrationsUpTo } from '../../../src/lib/backends/direct/sandbox/migrations.js'
import { demoData } from '../../../src/lib/backends/direct/sandbox/seed.js'
import { apply, columnsOf, migrate, schemaVersion, scratchServer, served, tablesOf, withClient } from './scratch.js'

describe('the list of migrations', () => {
  it('is in the order in which Rails applies it, each id once and well formed', () => {
    const ids = migrations.map(migration => migration.id)
    expect(ids).toEqual([...new Set(ids)].sort())
    expect(ids.filter(id => !/^\d{14}$/.test(id))).toEqual([])
  })

  it('gives each migration a name of its own that Rails could make a class of', () => {
    const names = migrations.map(migration => migration.name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.filter(name => !/^[a-z][a-z0-9_]+$/.test(name))).toEqual([])
  })

  it('has post-deployment migrations only since 2.5.0, which brought them', () => {
    const early = migrationsUpTo('2.4.5').filter(migration => migration.phase === 'post')
    expect(early).toEqual([])
    expect(migrationsUpTo('2.5.0').filter(migration => migration.phase === 'post')).toHaveLength(1)
  })

  it('takes a release with or without v, a minor series as its first release, a pre-release as its release', () => {
    expect(migrationsUpTo('v4.2.9')).toEqual(migrationsUpTo('4.2.9'))
    expect(migrationsUpTo('4.2')).toEqual(migrationsUpTo('4.2.0'))
    expect(migrationsUpTo('4.3.0-beta.1')).toEqual(migrationsUpTo('4.3.0'))
    expect(() => migrationsUpTo('latest')).toThrow('latest')
  })
})

/** Where a table or column came and went: `docs` of each release say the same of its schema. */
const markers: [what: string, table: string, column: string | undefined, from: string, until?: string][] = [
  ['stream entries', 'stream_entries', undefined, '1.3.0', '3.0.0'],
  ['subscriptions', 'subscriptions', undefined, '1.3.0', '3.0.0'],
  ['conversations', 'conversations', undefined, '1.5.1'],
  ['push subscriptions', 'web_push_subscriptions', undefined, '1.5.1'],
  ['ActivityPub', 'accounts', 'protocol', '1.5.1'],
  ['local statuses', 'statuses', 'local', '2.4.5'],
  ['emojis', 'custom_emojis', undefined, '2.4.5'],
  ['status counters', 'statuses', 'favourites_count', '1.3.0', '2.5.2'],
  ['status statistics', 'status_stats', undefined, '2.5.2'],
  ['account counters', 'accounts', 'statuses_count', '1.3.0', '2.8.0'],
  ['account statistics', 'account_stats', undefined, '2.8.0'],
  ['approval', 'users', 'approved', '2.8.0'],
  ['suspension as a flag', 'accounts', 'suspended', '1.3.0', '2.9.4'],
  ['suspension as a time', 'accounts', 'suspended_at', '2.9.4'],
  ['soft deletion', 'statuses', 'deleted_at', '3.0.0'],
  ['security keys', 'webauthn_credentials', undefined, '3.3.0'],
  ['instances', 'instances', undefined, '3.3.0'],
  ['edits', 'status_edits', undefined, '3.5.13'],
  ['roles', 'user_roles', undefined, '4.0.0'],
  ['staff flags', 'users', 'admin', '1.3.0', '4.3.8'],
  ['update notices', 'software_updates', undefined, '4.2.9'],
  ['encrypted one-time secrets', 'users', 'otp_secret', '4.3.8'],
  ['legacy one-time secrets', 'users', 'encrypted_otp_secret', '1.3.0', '4.4.0'],
  ['quotes', 'quotes', undefined, '4.4.0'],
  ['settings of things', 'settings', 'thing_id', '1.3.0', '4.4.0'],
  ['username blocks', 'username_blocks', undefined, '4.5.3'],
  ['key pairs', 'keypairs', undefined, '4.6.0'],
  ['two-factor by role', 'user_roles', 'require_2fa', '4.6.0'],
  ['asked deletions', 'accounts', 'requested_deletion_at', '4.7.2'],
]

describe('on a real PostgreSQL', () => {
  let server: Awaited<ReturnType<typeof scratchServer>>
  beforeAll(async () => {
    server = await scratchServer()
  })
  afterAll(() => server.remove())

  const releases = served.map(([release]) => release)
  const within = (release: string, from: string, until?: string) => {
    const place = releases.indexOf(release)
    return place >= releases.indexOf(from) && (until === undefined || place < releases.indexOf(until))
  }

  it.each(served)('%s has the schema version %s and the tables of its time', async (release, version) => {
    await withClient(await server.emptyDatabase(), async client => {
      await migrate(client, migrationsUpTo(release))
      expect(await schemaVersion(client)).toBe(version)
      const tables = await tablesOf(client)
      for (const [what, table, column, from, until] of markers) {
        const names = column === undefined ? tables : await columnsOf(client, table)
        expect(names.includes(column ?? table), `${what} in ${release}`).toBe(within(release, from, until))
      }
    })
  })

  it('keeps ids narrow until 1.6 and makes them wide and time-bearing in 2.0.0', async () => {
    const typeOf =
      "SELECT format_type(atttypid, NULL) AS type FROM pg_attribute WHERE attrelid = 'accounts'::regclass AND attname = 'id'"
    await withClient(await server.emptyDatabase(), async client => {
      await migrate(client, migrationsUpTo('1.6.1'))
      expect((await client.query(typeOf)).rows).toEqual([{ type: 'integer' }])
      const upgrade = migrationsUpTo('2.0.0').filter(migration => !migrationsUpTo('1.6.1').includes(migration))
      await migrate(client, upgrade)
      expect((await client.query(typeOf)).rows).toEqual([{ type: 'bigint' }])
      const { rows } = await client.query("SELECT to_timestamp((timestamp_id('statuses') >> 16) / 1000.0) AS moment")
      expect(Math.abs(rows[0].moment.getTime() - Date.now())).toBeLessThan(60_000)
    })
  })

  it('upgrades release by release, before and after each deployment, and keeps what people had', async () => {
    await withClient(await server.emptyDatabase(), async client => {
      await migrate(client, migrationsUpTo('1.3.0'))
      await apply(
        client,
        demoData('1.3.0', { statuses: 200, remoteAccounts: 40 }).map(sql => ({ title: sql, sql })),
      )
      await upgradeThroughAll(client)
      expect(await schemaVersion(client)).toBe('20260812154114')
      expect(await afterwards(client)).toEqual({
        role: 'Owner',
        otp_secret: 'sandbox-otp-secret',
        private_key: 'sandbox private key of alice',
        left_behind: null,
        favourites: '40',
        posts: '200',
      })
    })
  })
})

async function upgradeThroughAll(client: Parameters<typeof migrate>[0]): Promise<void> {
  const steps = [...new Set(migrations.map(migration => migration.release))].sort((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  )
  for (const release of steps.slice(1)) {
    const own = migrations.filter(migration => migration.release === release)
    await migrate(
      client,
      own.filter(migration => migration.phase === 'pre'),
    )
    await migrate(
      client,
      own.filter(migration => migration.phase === 'post'),
    )
  }
}

async function afterwards(client: Parameters<typeof migrate>[0]): Promise<unknown> {
  const { rows } = await client.query(`
    SELECT r.name AS role, u.otp_secret, k.private_key, a.private_key AS left_behind,
      (SELECT sum(favourites_count) FROM status_stats) AS favourites,
      (SELECT sum(statuses_count) FROM account_stats) AS posts
    FROM users u JOIN accounts a ON a.id = u.account_id JOIN user_roles r ON r.id = u.role_id
    JOIN keypairs k ON k.account_id = a.id WHERE a.username = 'alice'`)
  return rows[0]
}
