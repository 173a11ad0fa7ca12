import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Database } from '../../../src/lib/postgres/access.js'
import { encodeParam, quoteIdent, quoteLiteral, withLiterals } from '../../../src/lib/postgres/quote.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'

let server: TestPostgres
let db: Database

beforeAll(async () => {
  server = await startPostgres()
  db = await server.open()
})

afterAll(async () => {
  await db?.close()
  await server?.stop()
})

/** What PostgreSQL can store: no NUL. */
const text = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom("'", '"', '\\', '$', '$1', '--', '/*', '\n', ';', 'E'),
      fc.string({ unit: 'grapheme' }),
    ),
  })
  .filter(value => !value.includes('\0'))

async function echo(sql: string): Promise<unknown> {
  const rows = await db.query<{ value: unknown }>(sql)
  return rows[0]?.value
}

test('a quoted literal is read back as the same text', async () => {
  await fc.assert(
    fc.asyncProperty(text, async value => {
      expect(await echo(`SELECT ${quoteLiteral(value)}::text AS value`)).toBe(value)
    }),
    { numRuns: 300 },
  )
})

test('a quoted literal is the same with standard_conforming_strings off', async () => {
  const old = await server.open()
  await old.query('SET standard_conforming_strings = off')
  const value = "\\'; DROP TABLE users; --"
  expect(await old.query(`SELECT ${quoteLiteral(value)}::text AS value`)).toEqual([{ value }])
  await old.close()
})

test('a quoted identifier names the column as it is', async () => {
  const name = text.filter(value => value !== '' && Buffer.byteLength(value) < 60)
  await fc.assert(
    fc.asyncProperty(name, async value => {
      const [row] = await db.query(`SELECT 1 AS ${quoteIdent(value)}`)
      expect(Object.keys(row ?? {})).toEqual([value])
    }),
    { numRuns: 300 },
  )
})

test('a statement with its values written in does what it does with parameters', async () => {
  const value = fc.oneof(
    text,
    fc.integer(),
    fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
    fc.constant(null),
    fc.boolean(),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(value, { minLength: 2, maxLength: 2 }), async params => {
      const sql = 'SELECT $1::text AS a, $2::text AS b'
      const texts = params.map(encodeParam)
      expect(await db.query(withLiterals(sql, texts))).toEqual(await db.query(sql, texts))
    }),
    { numRuns: 200 },
  )
})

test('arrays, dates and bytes mean the same sent and written in', async () => {
  const params = [['a"b', "c'\\", null, 'NULL', ''], new Date('2026-07-01T12:00:00Z'), Buffer.from([0, 255, 39])]
  const sql = 'SELECT $1::text[] AS list, $2::timestamp AS at, $3::bytea AS bytes'
  const sent = await db.query(sql, params)
  expect(sent).toEqual([{ list: params[0], at: params[1], bytes: params[2] }])
  expect(await db.query(withLiterals(sql, params))).toEqual(sent)
})

test.each([
  ["SELECT '$1', $1", "SELECT '$1', 'x'"],
  ["SELECT 'it''s $1', $1", "SELECT 'it''s $1', 'x'"],
  ["SELECT E'\\'$1', $1", "SELECT E'\\'$1', 'x'"],
  ['SELECT "$1", $1', `SELECT "$1", 'x'`],
  ['SELECT $1 -- $1\n', `SELECT 'x' -- $1\n`],
  ['SELECT /* $1 */ $1', `SELECT /* $1 */ 'x'`],
  ['SELECT $$ $1 $$, $t$ $1 $$ $t$, $1', `SELECT $$ $1 $$, $t$ $1 $$ $t$, 'x'`],
])('only a parameter is replaced: %s', (sql, expected) => {
  expect(withLiterals(sql, ['x'])).toBe(expected)
})

test('a negative number never begins a comment', async () => {
  expect(withLiterals('SELECT 1 -$1', [-2])).toBe('SELECT 1 -(-2)')
})

test('a secret parameter is left out', () => {
  const sql = 'UPDATE users SET otp_secret = $1 WHERE id = $2'
  expect(withLiterals(sql, ['s3cret', 7], { secretParams: [1] })).toBe(
    "UPDATE users SET otp_secret = '[secret]' WHERE id = 7",
  )
})

test('text with a NUL character is refused before it is sent', () => {
  expect(() => quoteLiteral('a\0b')).toThrow(/NUL/)
  expect(() => quoteIdent('a\0b')).toThrow(/NUL/)
})
