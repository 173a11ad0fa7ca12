import { afterAll, beforeAll, expect, test } from 'vitest'
import { collation } from '../../../src/lib/checks/collation.js'
import { runChecks } from '../../../src/lib/checks/index.js'
import { indexOrder, readText } from '../../../src/lib/checks/index-order.js'
import type { Database } from '../../../src/lib/postgres/access.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'
import { toolboxOf } from '../../support/toolbox-of.js'

let server: TestPostgres
let database: Database

beforeAll(async () => {
  server = await startPostgres()
  database = await server.open(await server.createDatabase('mastodon'))
})
afterAll(async () => {
  await database?.close()
  await server?.stop()
})

const found = async (check: typeof collation) => (await runChecks(toolboxOf({ database }), [check]))[0]

test('what was not read is told with why', () => {
  const [small, large] = [{ large: false }, { large: true }]
  expect(readText([small, large, large], 1)).toBe('1 index read. 2 larger than 1 GiB were not read.')
  expect(readText([small, small, small, large], 1)).toBe(
    '1 index read. 1 larger than 1 GiB was not read. 2 others were not read within 30 s.',
  )
})

test('amcheck is not made; where it is, it finds an index whose order is not the one of its type any more', async () => {
  expect(await found(indexOrder)).toMatchObject({ state: 'not-applicable', message: expect.stringMatching(/amcheck/) })
  await database.write('CREATE EXTENSION amcheck')
  await database.write('CREATE TABLE numbers AS SELECT generate_series(1, 50) AS number')
  await database.write(compared('b - a'))
  await database.write(`CREATE OPERATOR CLASS own FOR TYPE int4 USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 compared(int4, int4)`)
  await database.write('CREATE INDEX "of Own" ON numbers (number own)')
  expect(await found(indexOrder)).toMatchObject({ state: 'ok', message: '1 index read.' })
  await database.write(compared('a - b'))
  const { state, message, fix } = (await found(indexOrder)) ?? {}
  expect({ state, message, fix }).toEqual({
    state: 'bad',
    message: expect.stringMatching(/^The index of Own is corrupt\. .*order invariant violated/),
    fix: `mstdn-ops db:psql --write -c 'REINDEX INDEX CONCURRENTLY "public"."of Own"'`,
  })
})

const compared = (how: string) =>
  `CREATE OR REPLACE FUNCTION compared(a int4, b int4) RETURNS int4 LANGUAGE sql IMMUTABLE AS 'SELECT ${how}'`

test('a collation of another version than the database was made with', async () => {
  if ((await database.serverVersionNum()) < 150_000) throw new Error('the embedded server is older than was thought')
  const before = await found(collation)
  expect(before?.state).toMatch(/^(ok|not-applicable)$/)
  await database.write("UPDATE pg_database SET datcollversion = '1.0' WHERE datname = current_database()")
  const after = await found(collation)
  // A system without versions cannot tell.
  expect(after?.state).toBe(before?.state === 'ok' ? 'bad' : 'not-applicable')
  if (before?.state === 'ok') expect(after?.fix).toContain('REFRESH COLLATION VERSION')
})
