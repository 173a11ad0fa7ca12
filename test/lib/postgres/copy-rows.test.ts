import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Ledger } from '../../../src/lib/ledger.js'
import type { Database } from '../../../src/lib/postgres/access.js'
import { type CopyOptions, copyTables, type TableCopy } from '../../../src/lib/postgres/copy-rows.js'
import { sourceOf } from '../../../src/lib/postgres/row-source.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'

let server: TestPostgres
let made = 0

beforeAll(async () => {
  server = await startPostgres()
})

afterAll(() => server?.stop())

const options: CopyOptions = { mustBeEmpty: 'statuses' }

interface Pair {
  from: Database
  to: Database
  ledger: Ledger
  /** What a table holds, as the server writes it. */
  text(db: Database, table: string): Promise<string[]>
  copy(copies: readonly TableCopy[], more?: Partial<CopyOptions>): ReturnType<typeof copyTables>
  close(): Promise<void>
}

/** Two databases with the same tables; `fresh` is what only the new one gets. */
async function pairOf(tables: string, data: string, fresh = ''): Promise<Pair> {
  made += 1
  const ledger = new Ledger()
  const from = await server.open(await server.createDatabase(`old_${made}`))
  const to = await server.open(await server.createDatabase(`new_${made}`), { ledger })
  await from.write(`CREATE TABLE statuses (id bigint); ${tables}; ${data}`)
  const setup = await server.open(`new_${made}`)
  await setup.write(`CREATE TABLE statuses (id bigint); ${tables}; ${fresh}`)
  await setup.close()
  return {
    ...{ from, to, ledger },
    text: async (db, table) => {
      const rows = await db.query<{ row: string }>(`SELECT t::text AS row FROM ${table} t ORDER BY 1`)
      return rows.map(({ row }) => row)
    },
    copy: (copies, more) => copyTables(sourceOf(from), to, copies, { ...options, ...more }),
    close: async () => {
      await from.close()
      await to.close()
    },
  }
}

describe('values', () => {
  const TABLE = `CREATE TYPE mood AS ENUM ('glad', 'it''s "so"'); CREATE TABLE every (
    id bigserial PRIMARY KEY, small smallint, big bigint, amount numeric, ratio double precision, single real,
    flag boolean, name varchar(10), fixed char(5), body text, bytes bytea, words varchar[], ids bigint[], grid integer[][],
    at timestamp, zoned timestamptz, day date, span interval, ip inet, net cidr, doc json, docb jsonb, uid uuid, state mood,
    twice bigint GENERATED ALWAYS AS (big / 2) STORED, own integer GENERATED ALWAYS AS IDENTITY)`

  const ROWS = `INSERT INTO every (small, big, amount, ratio, single, flag, name, fixed, body, bytes, words, ids, grid, at,
      zoned, day, span, ip, net, doc, docb, uid, state) VALUES
    (-1, 9223372036854775807, 12345678901234567890.123456789000, 0.1, 0.1, true, 'ü', 'ab',
      E'back\\\\slash "quote" \\n\\ttab \\u0001 \\U0001F600', '\\x00ff5c22', ARRAY['a,b', NULL, '', 'NULL', '"'],
      ARRAY[9007199254740993, -1], '{{1,2},{3,4}}', '2026-01-02 03:04:05.123456', '2026-01-02 03:04:05.654321+09',
      '0044-03-15 BC', '1 year -2 days 03:04:05.000006', '2001:db8::1/64', '192.0.2.0/24', '{"b" : 1,  "a":[1.0,null]}',
      '{"n": 9007199254740993.5}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'it''s "so"'),
    (NULL, -9223372036854775808, 'NaN', 'Infinity', '-Infinity', NULL, '', '', '', '', '{}', '{}', '[2:3]={7,8}'::int[],
      'infinity', '-infinity', 'infinity', '0', '192.0.2.7', '::/0', 'null', 'null', NULL, 'glad'),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
      NULL, NULL, NULL)`

  test('of every type arrive as they were', async () => {
    const pair = await pairOf(TABLE, ROWS)
    const [result] = await pair.copy([{ table: 'every' }])
    expect(result).toEqual({ table: 'every', rows: 3, left: 0, lost: [] })
    expect(await pair.text(pair.to, 'every')).toEqual(await pair.text(pair.from, 'every'))
    const nulls = 'SELECT id, doc IS NULL AS doc, docb IS NULL AS docb FROM every ORDER BY id'
    expect(await pair.to.query(nulls)).toEqual(await pair.from.query(nulls))
    await pair.close()
  })

  test('whatever the old database has set for how they are written', async () => {
    const pair = await pairOf(TABLE, ROWS)
    const settings = `ALTER DATABASE ${pair.from.name} SET`
    await pair.from.write(`${settings} datestyle = 'SQL, DMY'; ${settings} bytea_output = 'escape';
      ${settings} extra_float_digits = 0; ${settings} intervalstyle = 'iso_8601'`)
    const other = await server.open(pair.from.name)
    await copyTables(sourceOf(other), pair.to, [{ table: 'every' }], options)
    await pair.from.write("SET datestyle = 'ISO'")
    expect(await pair.text(pair.to, 'every')).toEqual(await pair.text(pair.from, 'every'))
    await other.close()
    await pair.close()
  })

  test('do not depend on the order of the columns, and those without a place are named', async () => {
    const pair = await pairOf('', 'CREATE TABLE t (a int, gone text, id int PRIMARY KEY, b text)')
    await pair.to.write("CREATE TABLE t (id int PRIMARY KEY, b text, a int, extra text DEFAULT 'new')")
    await pair.from.write("INSERT INTO t VALUES (1, 'x', 2, 'three')")
    const [result] = await pair.copy([{ table: 't' }])
    expect(result?.lost).toEqual(['gone'])
    expect(await pair.text(pair.to, 't')).toEqual(['(2,three,1,new)'])
    await pair.close()
  })
})

describe('rows', () => {
  const PEOPLE = `CREATE TABLE people (id bigserial PRIMARY KEY, name text, friend_id bigint REFERENCES people ON DELETE SET NULL);
    CREATE TABLE posts (id bigserial PRIMARY KEY, person_id bigint NOT NULL REFERENCES people,
      seen_by bigint REFERENCES people ON DELETE SET NULL, of_id bigint REFERENCES people ON DELETE CASCADE)`

  test('come with a condition over other tables, and change on the way', async () => {
    const pair = await pairOf(
      PEOPLE,
      "INSERT INTO people SELECT n, 'p' || n FROM generate_series(1, 9) n; INSERT INTO posts SELECT n, n FROM generate_series(2, 9, 3) n",
    )
    const copies = [{ table: 'people', where: 'id IN (SELECT person_id FROM posts)', set: { name: 'upper(name)' } }]
    expect(await pair.copy(copies)).toMatchObject([{ rows: 3 }])
    expect(await pair.text(pair.to, 'people')).toEqual(['(2,P2,)', '(5,P5,)', '(8,P8,)'])
    await pair.close()
  })

  test('whose target is not copied are emptied or stay behind, as a deletion would have it', async () => {
    const pair = await pairOf(
      PEOPLE,
      `INSERT INTO people VALUES (1, 'kept', 2), (2, 'other', 1), (3, 'kept', 4), (4, 'kept', 1);
       INSERT INTO posts VALUES (1, 1, 2, NULL), (2, 2, 1, NULL), (3, 3, 1, 2), (4, 4, 1, 1)`,
    )
    const result = await pair.copy([{ table: 'people', where: "name = 'kept'" }, { table: 'posts' }])
    expect(result.map(({ rows, left }) => [rows, left])).toEqual([
      [3, 0],
      [2, 2],
    ])
    // 1 had the one who is left out for a friend; 3 points to a row that comes after it.
    expect(await pair.text(pair.to, 'people')).toEqual(['(1,kept,)', '(3,kept,4)', '(4,kept,1)'])
    expect(await pair.text(pair.to, 'posts')).toEqual(['(1,1,,)', '(4,4,1,1)'])
    await pair.close()
  })

  test('that point to a table which is not copied count as without a target, though it has such an id', async () => {
    const pair = await pairOf(
      PEOPLE,
      "INSERT INTO people VALUES (1, 'a', NULL); INSERT INTO posts VALUES (1, 1)",
      "INSERT INTO people VALUES (1, 'another', NULL)",
    )
    expect(await pair.copy([{ table: 'posts' }])).toMatchObject([{ rows: 0, left: 1 }])
    expect(await pair.text(pair.to, 'people')).toEqual(['(1,another,)'])
    await pair.close()
  })

  test('of circles and of references that no foreign key declares are put right', async () => {
    const circle = `CREATE TABLE users (id bigserial PRIMARY KEY, invite_id bigint, hint bigint);
      CREATE TABLE invites (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE);
      ALTER TABLE users ADD FOREIGN KEY (invite_id) REFERENCES invites ON DELETE SET NULL`
    const pair = await pairOf(
      circle,
      `INSERT INTO users VALUES (1, NULL, 7), (2, NULL, 6), (3, NULL, NULL);
      INSERT INTO invites VALUES (6, 1), (7, 3); UPDATE users SET invite_id = 6 WHERE id = 2; UPDATE users SET invite_id = 7 WHERE id = 1`,
    )
    const hint = { column: 'hint', target: 'invites', otherwise: 'empty' as const }
    await pair.copy([
      { table: 'users', references: [hint] },
      { table: 'invites', where: 'id = 6' },
    ])
    expect(await pair.text(pair.to, 'users')).toEqual(['(1,,)', '(2,6,6)', '(3,,)'])
    await pair.close()
  })

  test('that a seed has made give way, and copying again changes nothing', async () => {
    const pair = await pairOf(
      'CREATE TABLE roles (id bigint PRIMARY KEY, name text UNIQUE)',
      "INSERT INTO roles VALUES (1, 'Owner'), (4, 'Admin')",
      "INSERT INTO roles VALUES (1, 'Moderator'), (2, 'Admin'), (3, 'Owner')",
    )
    for (let time = 0; time < 2; time += 1) {
      expect(await pair.copy([{ table: 'roles' }])).toMatchObject([{ rows: 2 }])
      expect(await pair.text(pair.to, 'roles')).toEqual(['(1,Owner)', '(4,Admin)'])
    }
    await pair.close()
  })

  test('more than a batch come whole, few at a time where they are long', async () => {
    const many = process.env.MSTDN_TEST_FULL ? 200_000 : 12_000
    const pair = await pairOf(
      'CREATE TABLE short (id bigint PRIMARY KEY, text text); CREATE TABLE long (id bigint PRIMARY KEY, text text)',
      `INSERT INTO short SELECT n, n::text FROM generate_series(1, ${many}) n;
       INSERT INTO long SELECT n, repeat('x', 100000) FROM generate_series(1, 40) n`,
    )
    const steps: Record<string, number[]> = { short: [0], long: [0] }
    await pair.copy([{ table: 'short' }, { table: 'long' }], { onProgress: (table, rows) => steps[table]?.push(rows) })
    const sizes = (table: string) => (steps[table] ?? []).slice(1).map((rows, at) => rows - (steps[table]?.[at] ?? 0))
    expect(Math.max(...sizes('short'))).toBe(5_000)
    expect(
      sizes('long')
        .slice(1)
        .every(size => size <= 5),
    ).toBe(true)
    for (const table of ['short', 'long']) {
      const sum = `SELECT count(*) AS rows, md5(string_agg(id || text, ',' ORDER BY id)) AS text FROM ${table}`
      expect(await pair.to.query(sum)).toEqual(await pair.from.query(sum))
    }
    await pair.close()
  })
})

describe('the ledger and the refusals', () => {
  const SECRET = 'CREATE TABLE keys (id bigserial PRIMARY KEY, private_key text)'

  test('a line for each table, and no row', async () => {
    const pair = await pairOf(
      SECRET,
      "INSERT INTO keys (private_key) SELECT 'canary-' || n FROM generate_series(1, 400) n",
    )
    const keys = { table: 'keys', where: 'id >\n 0' }
    await pair.copy([keys, { table: 'no_such_table' }])
    expect(pair.ledger.entries.map(({ exact }) => exact)).toEqual([
      `COPY keys FROM STDIN /* in ${pair.to.name}: what COPY (SELECT * FROM keys WHERE id > 0) TO STDOUT gives in ${pair.from.name} */`,
    ])
    await pair.copy([keys])
    expect(pair.ledger.entries.map(({ exact }) => exact)).toContain('DELETE FROM "keys"')
    expect(JSON.stringify(pair.ledger.entries)).not.toContain('canary-')
    await pair.close()
  })

  test('a dry run says the same and writes nothing', async () => {
    const pair = await pairOf(SECRET, "INSERT INTO keys VALUES (1, 'a')", "INSERT INTO keys VALUES (2, 'seed')")
    const ledger = new Ledger()
    const dry = await server.open(pair.to.name, { ledger, dryRun: true })
    expect(await copyTables(sourceOf(pair.from), dry, [{ table: 'keys' }], options)).toMatchObject([
      { table: 'keys', rows: 0 },
    ])
    await dry.close()
    expect(await pair.text(pair.to, 'keys')).toEqual(['(2,seed)'])
    await pair.copy([{ table: 'keys' }])
    expect(ledger.entries).toEqual(pair.ledger.entries)
    await pair.close()
  })

  test('a database in use, one that lacks a table, and the same database are not written to', async () => {
    const pair = await pairOf(SECRET, "INSERT INTO keys VALUES (1, 'a')", "INSERT INTO keys VALUES (2, 'own')")
    await pair.from.write('CREATE TABLE rules (id bigint PRIMARY KEY)')
    const both = [{ table: 'keys' }, { table: 'rules' }]
    await expect(pair.copy(both)).rejects.toMatchObject({ exitCode: 3, code: 'other-schema' })
    await pair.to.write('INSERT INTO statuses VALUES (1)')
    await expect(pair.copy([{ table: 'keys' }])).rejects.toMatchObject({ exitCode: 3, code: 'database-in-use' })
    await expect(copyTables(sourceOf(pair.to), pair.to, [{ table: 'keys' }], options)).rejects.toThrow('into itself')
    expect(await pair.text(pair.to, 'keys')).toEqual(['(2,own)'])
    await pair.close()
  })

  test('a failure on the way says nothing of the rows', async () => {
    const pair = await pairOf(
      'CREATE TABLE t (id int PRIMARY KEY, secret text)',
      "INSERT INTO t VALUES (1, 'canary-word')",
    )
    await pair.to.write('ALTER TABLE t ALTER secret TYPE integer USING 0')
    const error = await pair.copy([{ table: 't' }]).catch((failure: Error) => failure)
    expect(error).toMatchObject({ code: 'sql-22P02', message: 'PostgreSQL (the test server) refused rows of t' })
    expect(JSON.stringify(error)).not.toContain('canary-word')
    await pair.close()
  })
})
