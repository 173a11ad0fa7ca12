import { afterAll, beforeAll, expect, test } from 'vitest'
import { IdSet } from '../../../../src/lib/backups/diff/id-set.js'
import { Posts } from '../../../../src/lib/backups/diff/posts.js'
import type { Database } from '../../../../src/lib/postgres/access.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'

const COLUMNS = new Map([['statuses', new Set(['id', 'deleted_at'])]])
let server: TestPostgres
let database: Database

beforeAll(async () => {
  server = await startPostgres()
  database = await server.open(await server.createDatabase('mastodon'))
  await database.write('CREATE TABLE accounts (id bigint PRIMARY KEY, domain varchar)')
  await database.write(`CREATE TABLE statuses (id bigint PRIMARY KEY, account_id bigint, reblog_of_id bigint,
    visibility int DEFAULT 0, created_at timestamp DEFAULT now(), deleted_at timestamp)`)
  await database.write(`INSERT INTO accounts VALUES (1, NULL), (2, 'a.example')`)
})
afterAll(async () => {
  await database?.close()
  await server?.stop()
})

const FIRST = 115_000_000_000_000_000n
const idAt = (n: number) => String(FIRST + BigInt(n) * 65_537n)

/** Every third is a boost. */
function rowAt(n: number) {
  return { id: idAt(n), reblog_of_id: n % 3 === 0 ? '7' : null }
}

async function fill(from: number, to: number): Promise<void> {
  await database.write(
    `INSERT INTO statuses (id, account_id, reblog_of_id)
     SELECT ${FIRST} + n * 65537::bigint, 1, CASE WHEN n % 3 = 0 THEN 7 END FROM generate_series($1::int, $2::int) n`,
    [from, to],
  )
}

async function compared(from: number, to: number) {
  const posts = new Posts()
  // A dump has them in the order in which they lie there.
  for (let n = to; n >= from; n -= 1) posts.take([rowAt(n)])
  return database.snapshot(() => posts.finish(database, COLUMNS))
}

const told = ({ posts, boosts }: Awaited<ReturnType<typeof compared>>) => ({
  ...{ written: posts.written.count, deleted: posts.deleted },
  ...{ made: boosts.made, takenBack: boosts.takenBack },
})

test('posts are told apart in however many parts they differ', async () => {
  await database.write('TRUNCATE statuses')
  await fill(1, 9_000)
  expect(told(await compared(1, 9_000))).toEqual({ written: 0, deleted: 0, made: 0, takenBack: 0 })
  expect(told(await compared(4, 8_400)), 'at both ends').toEqual({ written: 402, deleted: 0, made: 201, takenBack: 0 })
  await database.write(`DELETE FROM statuses WHERE id IN (${[1_000, 1_001, 4_502, 6_000].map(idAt).join(', ')})`)
  await database.write(`UPDATE statuses SET deleted_at = now() WHERE id = ${idAt(7_999)}`)
  await database.write(`UPDATE statuses SET account_id = 2 WHERE id = ${idAt(8_000)}`)
  expect(told(await compared(1, 9_000))).toEqual({ written: 0, deleted: 5, made: 0, takenBack: 1 })
  await database.write(`INSERT INTO statuses (id, account_id) VALUES (-99, 1), (${FIRST + 65_538n}, 1)`)
  expect(told(await compared(1, 9_000)), 'where ids lie between and before').toMatchObject({ written: 2, deleted: 5 })
  expect(told(await compared(1, 0)), 'with none').toMatchObject({ written: 5_997, deleted: 0, made: 2_999 })
})

test('so are those of which a few are gone everywhere', async () => {
  const many = 210_000
  await database.write('TRUNCATE statuses')
  await database.write(
    `INSERT INTO statuses (id, account_id) SELECT ${FIRST} + n * 65537::bigint, 1 FROM generate_series(1, $1::int) n
     WHERE n % 2000 <> 500`,
    [many],
  )
  const posts = new Posts()
  posts.take(Array.from({ length: many }, (_, n) => ({ id: idAt(n + 1), reblog_of_id: null })))
  const found = told(await database.snapshot(() => posts.finish(database, COLUMNS)))
  expect(found).toEqual({ written: 0, deleted: 105, made: 0, takenBack: 0 })
}, 60_000)

test('a set knows its ids and no other, also negative ones and the greatest', () => {
  const ids = [-99n, -1n, 0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]
  const set = new IdSet()
  for (const id of ids) set.add(String(id))
  for (const id of ids) {
    expect(set.has(String(id)), String(id)).toBe(true)
    for (const near of [id - 1n, id + 1n]) {
      if (near === BigInt.asIntN(64, near)) expect(set.has(String(near)), String(near)).toBe(ids.includes(near))
    }
  }
  expect(set.parts(4).map(({ first, n }) => [first, n])).toEqual([
    [-(2n ** 63n), 4],
    [1n, 4],
    [2n ** 53n + 1n, 2],
  ])
})
