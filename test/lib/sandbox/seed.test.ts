import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { migrationsUpTo } from '../../../src/lib/backends/direct/sandbox/migrations.js'
import { demoData } from '../../../src/lib/backends/direct/sandbox/seed.js'
import { apply, columnsOf, migrate, scratchServer, served, tablesOf, withClient } from './scratch.js'

type Client = Parameters<typeof migrate>[0]

const releases = served.map(([release]) => release)
const has = (release: string, from: string) => releases.indexOf(release) >= releases.indexOf(from)

describe('demo data', () => {
  let server: Awaited<ReturnType<typeof scratchServer>>
  beforeAll(async () => {
    server = await scratchServer()
  })
  afterAll(() => server.remove())

  async function seeded<T>(release: string, work: (client: Client) => Promise<T>): Promise<T> {
    return withClient(await server.emptyDatabase(), async client => {
      await migrate(client, migrationsUpTo(release))
      await apply(
        client,
        demoData(release).map(sql => ({ title: sql, sql })),
      )
      return work(client)
    })
  }

  it.each(releases)('of %s is about 12,000 rows, with its people as that release knows them', async release => {
    await seeded(release, async client => {
      const rows = await totalRows(client)
      expect(rows).toBeGreaterThan(11_000)
      expect(rows).toBeLessThan(13_000)
      expect(await peopleOf(client)).toEqual(expectedPeople(release))
      expect(await setTwoFactorColumns(client)).toEqual(twoFactorColumns(release))
      await nextIdsAreFree(client)
    })
  })

  it('spreads the statuses over eight servers, most on the first, and names nothing that could exist', async () => {
    await seeded('4.5.3', async client => {
      const sql =
        'SELECT domain, count(*)::int AS count FROM statuses JOIN accounts ON accounts.id = account_id GROUP BY 1'
      const counts = new Map((await client.query(sql)).rows.map(row => [row.domain, row.count]))
      expect(counts.get('example.net')).toBeGreaterThan(2000)
      expect(counts.get('tiny.example.net')).toBeLessThan(200)
      expect(counts.size).toBe(9)
      const domains = [...counts.keys()].filter(domain => domain !== null)
      expect(domains.filter(domain => !/(^|\.)example(\.(com|net|org))?$/.test(domain))).toEqual([])
    })
  })

  it('fills the materialized view of the instances', async () => {
    await seeded('4.5.3', async client => {
      const { rows } = await client.query('SELECT domain, accounts_count::int FROM instances ORDER BY 2 DESC LIMIT 1')
      expect(rows).toEqual([{ domain: 'example.net', accounts_count: 180 }])
    })
  })

  it('makes as much as is asked for', async () => {
    await withClient(await server.emptyDatabase(), async client => {
      await migrate(client, migrationsUpTo('4.5.3'))
      const statements = demoData('4.5.3', { statuses: 17, remoteAccounts: 3 })
      await apply(
        client,
        statements.map(sql => ({ title: sql, sql })),
      )
      const { rows } = await client.query(
        'SELECT (SELECT count(*)::int FROM statuses) AS statuses, (SELECT count(*)::int FROM accounts WHERE domain IS NOT NULL) AS remote',
      )
      expect(rows).toEqual([{ statuses: 17, remote: 3 }])
    })
  })
})

async function totalRows(client: Client): Promise<number> {
  const tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
  let total = 0
  for (const { relname } of (await client.query(tables)).rows) {
    total += (await client.query(`SELECT count(*)::int AS count FROM "${relname}"`)).rows[0].count
  }
  return total
}

/** The local accounts as one line each; approval and roles only where the release knows them. */
async function peopleOf(client: Client): Promise<string[]> {
  const [columns, tables] = [await columnsOf(client, 'users'), await tablesOf(client)]
  const staff = columns.includes('moderator')
    ? "CASE WHEN admin THEN 'admin' WHEN moderator THEN 'moderator' END"
    : 'NULL'
  const { rows } = await client.query(`
    SELECT concat_ws(' ', a.username, CASE WHEN u.confirmed_at IS NOT NULL THEN 'confirmed' END,
      CASE WHEN u.otp_required_for_login THEN 'two-factor' END,
      ${columns.includes('approved') ? "CASE WHEN NOT u.approved THEN 'unapproved' END" : 'NULL'}, ${staff},
      ${tables.includes('user_roles') ? '(SELECT name FROM user_roles WHERE id = u.role_id)' : 'NULL'}) AS line
    FROM accounts a LEFT JOIN users u ON u.account_id = a.id WHERE a.domain IS NULL ORDER BY a.id`)
  return rows.map(row => row.line)
}

function expectedPeople(release: string): string[] {
  const flags = has(release, '2.4.5') && !has(release, '4.3.8')
  const roles = has(release, '4.0.0')
  const line = (...words: (string | false)[]) => words.filter(Boolean).join(' ')
  return [
    ...(has(release, '3.0.0') ? ['social.example'] : []),
    line('alice confirmed two-factor', flags && 'admin', roles && 'Owner'),
    line('bob', has(release, '2.8.0') && 'unapproved'),
    line('carol confirmed', flags && 'moderator', roles && 'Moderator'),
  ]
}

/** The places of alice's second factors that are filled. */
async function setTwoFactorColumns(client: Client): Promise<string[]> {
  const { rows } = await client.query("SELECT to_jsonb(users) AS user FROM users WHERE email = 'alice@example.com'")
  const filled = (await columnsOf(client, 'users'))
    .filter(name => name.includes('otp') || name === 'consumed_timestep')
    .filter(name => rows[0].user[name] !== null)
  if (!(await tablesOf(client)).includes('webauthn_credentials')) return filled.sort()
  const keys = await client.query('SELECT nickname FROM webauthn_credentials JOIN users ON users.id = user_id')
  return [...filled, ...keys.rows.map(row => `security key ${row.nickname}`)].sort()
}

function twoFactorColumns(release: string): string[] {
  const legacy = ['encrypted_otp_secret', 'encrypted_otp_secret_iv', 'encrypted_otp_secret_salt']
  return [
    ...['consumed_timestep', 'otp_backup_codes', 'otp_required_for_login'],
    ...(has(release, '4.4.0') ? [] : legacy),
    ...(has(release, '4.3.8') ? ['otp_secret'] : []),
    ...(has(release, '3.3.0') ? ['security key blue key'] : []),
  ].sort()
}

/** Rows with ids of their own must not stand in the way of the next ones. */
async function nextIdsAreFree(client: Client): Promise<void> {
  const { rows } = await client.query(
    "INSERT INTO accounts (username, uri, created_at, updated_at) VALUES ('dave', 'urn:x:dave', now(), now()) RETURNING id",
  )
  const values = `${rows[0].id}, now(), now()`
  await client.query(
    `INSERT INTO users (account_id, created_at, updated_at, email) VALUES (${values}, 'dave@example.com')`,
  )
  await client.query(`INSERT INTO statuses (account_id, created_at, updated_at) VALUES (${values})`)
}
