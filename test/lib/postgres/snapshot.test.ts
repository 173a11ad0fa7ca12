import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { withSnapshot } from '../../../src/lib/postgres/snapshot.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server?.stop())

/** Returns the rows that a snapshot counts of each table, while `meanwhile` is under way. */
async function counted(database: string): Promise<Record<string, number>> {
  const session = await server.open(database)
  try {
    const tables = await withSnapshot(session, snapshot => snapshot.counts())
    return Object.fromEntries(tables.map(({ schema, table, rows }) => [`${schema}.${table}`, rows]))
  } finally {
    await session.close()
  }
}

describe('the snapshot that a dump reads', () => {
  test('begins when no rewrite of a table is under way, which would leave that empty to it', async () => {
    const name = await server.createDatabase('rewritten')
    const migration = await server.open(name)
    await migration.write('CREATE TABLE statuses AS SELECT n::integer AS id FROM generate_series(1, 3) n')
    await migration.query('BEGIN')
    await migration.write('ALTER TABLE statuses ALTER COLUMN id TYPE bigint')
    const counts = counted(name)
    setTimeout(() => void migration.query('COMMIT'), 700)
    expect(await counts).toEqual({ 'public.statuses': 3 })
    await migration.close()
  })

  test('counts of an extension’s tables the rows that it declares to be the user’s, as pg_dump does', async () => {
    const name = await server.createDatabase('extended')
    const database = await server.open(name)
    await database.write('CREATE EXTENSION pg_trgm')
    for (const table of ['job', 'place', 'internal']) {
      await database.write(`CREATE TABLE ${table} AS SELECT n AS id FROM generate_series(1, 5) n`)
      await database.write(`ALTER EXTENSION pg_trgm ADD TABLE ${table}`)
    }
    // What pg_extension_config_dump() notes for the script of an extension, which alone may call it.
    await database.write(`UPDATE pg_extension SET extconfig = ARRAY['job'::regclass::oid, 'place'::regclass::oid],
      extcondition = ARRAY['', 'WHERE id > 3'] WHERE extname = 'pg_trgm'`)
    await database.close()
    expect(await counted(name)).toEqual({ 'public.job': 5, 'public.place': 2 })
  })
})
