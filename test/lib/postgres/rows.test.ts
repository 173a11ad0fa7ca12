import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Ledger } from '../../../src/lib/ledger.js'
import { type Database, openDatabase } from '../../../src/lib/postgres/access.js'
import { type RowCounts, rowCounts } from '../../../src/lib/postgres/rows.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'

let server: TestPostgres
let db: Database

/** Wide enough that five thousand rows are more than a small table. */
const WIDE = "repeat('x', 1000)"

beforeAll(async () => {
  server = await startPostgres({ settings: ['autovacuum=off'] })
  await server.createDatabase('mastodon')
  const setup = await server.open('mastodon')
  await setup.write(`
    CREATE TABLE statuses AS SELECT n AS id FROM generate_series(1, 20000) n;
    CREATE TABLE settings AS SELECT n AS id FROM generate_series(1, 7) n;
    CREATE TABLE empty (id int);
    CREATE TABLE "a;b""c" AS SELECT n AS id FROM generate_series(1, 3) n;
    CREATE TABLE media AS SELECT n AS id, ${WIDE} AS text FROM generate_series(1, 5000) n;
    CREATE TABLE parts (id int) PARTITION BY RANGE (id);
    CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
    CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (100) TO (200);
    INSERT INTO parts SELECT generate_series(0, 149);
    CREATE TABLE child () INHERITS (settings);
    INSERT INTO child VALUES (100);
    CREATE VIEW seen AS SELECT * FROM statuses;
    CREATE MATERIALIZED VIEW kept AS SELECT * FROM statuses;
    CREATE SCHEMA other; CREATE TABLE other.statuses AS SELECT 1 AS id;
    ANALYZE statuses`)
  await setup.close()
  db = await server.open('mastodon')
})

afterAll(async () => {
  await db?.close()
  await server?.stop()
})

/** In public and other: what was put in above. */
const RIGHT: Readonly<Record<string, number>> = {
  'public.statuses': 20_000,
  'public.settings': 7,
  'public.empty': 0,
  'public.a;b"c': 3,
  'public.media': 5000,
  'public.parts_low': 100,
  'public.parts_high': 50,
  'public.child': 1,
  'other.statuses': 1,
}

function byName(counts: RowCounts): Record<string, number | undefined> {
  return Object.fromEntries(counts.tables.map(table => [`${table.schema}.${table.table}`, table.rows]))
}

describe('the estimate', () => {
  test('is right for tables that the server has counted since they were made', async () => {
    const counts = await rowCounts(db, { exact: false })
    expect(byName(counts)).toEqual(RIGHT)
    expect(counts.rows).toBe(25_162)
    expect(counts.unknown).toEqual([])
    expect(counts.tables[0]).toMatchObject({ table: 'statuses', rows: 20_000, exact: false })
  })

  test('says how old it is and how large everything is', async () => {
    const counts = await rowCounts(db, { exact: false })
    const age = counts.takenAt.getTime() - (counts.analyzedAt?.getTime() ?? 0)
    expect(age).toBeGreaterThanOrEqual(0)
    expect(age).toBeLessThan(60_000)
    expect(counts.bytes).toBeGreaterThan(5_000_000)
    expect(counts.tables.find(table => table.table === 'media')?.bytes).toBeGreaterThan(5_000_000)
  })

  test('can be held to one schema', async () => {
    const counts = await rowCounts(db, { exact: false, schema: 'other' })
    expect(byName(counts)).toEqual({ 'other.statuses': 1 })
  })

  test('sends no count(*) for a large table and needs no transaction', async () => {
    const ledger = new Ledger()
    const dry = await server.open('mastodon', { ledger, dryRun: true })
    const counts = await rowCounts(dry, { exact: false })
    expect(counts.tables.filter(table => table.exact)).toEqual([])
    expect(ledger.entries).toEqual([])
    await dry.close()
  })

  test('when the server forgot its counts: the catalog’s for analysed tables, small ones counted, large ones unknown', async () => {
    await server.createDatabase('forgetful')
    const setup = await server.open('forgetful')
    await setup.write(`
      CREATE TABLE statuses AS SELECT n AS id FROM generate_series(1, 20000) n;
      CREATE TABLE settings AS SELECT n AS id FROM generate_series(1, 7) n;
      CREATE TABLE media AS SELECT n AS id, ${WIDE} AS text FROM generate_series(1, 5000) n;
      CREATE TABLE blocked AS SELECT n AS id, ${WIDE} AS text FROM generate_series(1, 5000) n;
      ANALYZE statuses`)
    await setup.close()
    const reset = await server.open('forgetful')
    await reset.query('SELECT pg_stat_reset()')
    // Then half as much again, which the catalog does not know of, and a few where nothing is known.
    await reset.write('INSERT INTO statuses SELECT generate_series(20001, 30000)')
    await reset.write("INSERT INTO blocked VALUES (1, 'x'), (2, 'x')")
    await reset.close()
    const again = await server.open('forgetful')
    const counts = await rowCounts(again, { exact: false })
    await again.close()
    expect(counts.unknown).toEqual(['public.blocked', 'public.media'])
    const settings = counts.tables.find(table => table.table === 'settings')
    expect(settings).toMatchObject({ rows: 7, exact: true, analyzedAt: undefined })
    const statuses = counts.tables.find(table => table.table === 'statuses')?.rows ?? 0
    expect(Math.abs(statuses - 30_000)).toBeLessThan(600)
    expect(counts.analyzedAt).toBeUndefined()
  })
})

describe('the exact count', () => {
  test('counts every table once, under hostile names, and says how far it is', async () => {
    const seen: string[] = []
    const counts = await rowCounts(db, { exact: true, onProgress: (_done, _of, table) => seen.push(table) })
    expect(byName(counts)).toEqual(RIGHT)
    expect(counts.method).toBe('exact')
    expect(counts.tables.every(table => table.exact)).toBe(true)
    expect(seen.toSorted()).toEqual(Object.keys(RIGHT).toSorted())
  })

  test('is of one moment, whatever is written meanwhile', async () => {
    const writer = await server.open('mastodon')
    const writing: Promise<unknown>[] = []
    const onProgress = (done: number) => {
      if (done === 0) writing.push(writer.write('INSERT INTO other.statuses SELECT generate_series(1, 1000)'))
    }
    const counts = await rowCounts(db, { exact: true, onProgress })
    await Promise.all(writing)
    expect(byName(counts)['other.statuses']).toBe(1)
    await writer.write('DELETE FROM other.statuses WHERE ctid <> (SELECT min(ctid) FROM other.statuses)')
    await writer.close()
  })

  test('keeps the estimate, marked as one, of what this user may not read', async () => {
    const admin = await server.open('mastodon')
    await admin.write("CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT SELECT ON statuses TO reader")
    await admin.close()
    const connector = server.connector({ user: 'reader', password: 'reader', database: 'mastodon' })
    const reader = await openDatabase(connector, { ledger: new Ledger(), dryRun: false })
    const counts = await rowCounts(reader, { exact: true })
    await reader.close()
    const counted = counts.tables.filter(table => table.exact).map(table => table.table)
    expect(counted).toEqual(['statuses'])
  })
})
