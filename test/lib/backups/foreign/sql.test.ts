import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { migrationsUpTo } from '../../../../src/lib/backends/direct/sandbox/migrations.js'
import { fileSource } from '../../../../src/lib/backups/foreign/source.js'
import { mastodonOf, sqlOf, survey, surveyOf } from '../../../../src/lib/backups/foreign/sql.js'
import { RefusedError } from '../../../../src/lib/errors.js'
import type { Database } from '../../../../src/lib/postgres/access.js'
import { feedPsql, runClient } from '../../../support/postgres-clients.js'
import * as made from './dumps.js'

const FULL = process.env.MSTDN_TEST_FULL === '1'
if (FULL) vi.setConfig({ testTimeout: 600_000 })
let dumps: made.Dumps
let source: Database

beforeAll(async () => {
  dumps = await made.makeDumps()
  source = await dumps.server.open(made.databaseName)
})
afterAll(async () => {
  await source.close()
  await dumps.stop()
})

const KINDS: [string, () => Buffer][] = [
  ['pg_dump', () => dumps.dump()],
  ['pg_dump --clean --create', () => dumps.dump(['--clean', '--create'])],
  ['pg_dump --clean', () => dumps.dump(['--clean'])],
  ['pg_dump --inserts', () => dumps.dump(['--inserts'])],
  ['several rows in an INSERT', () => dumps.dump(['--column-inserts', '--rows-per-insert=7'])],
  ['pg_dump --no-owner, gzip', () => made.gzip(dumps.dump(['--no-owner']))],
  ['pg_dump, zstd', () => made.zstd(dumps.dump())],
  ['pg_dumpall', () => dumps.dumpAll()],
  ['pg_dumpall --clean', () => dumps.dumpAll(['--clean'])],
  ['pg_dumpall in a terminal', () => made.throughTerminal(dumps.dumpAll())],
  ['pg_dumpall in a terminal, gzip', () => made.gzip(made.throughTerminal(dumps.dumpAll()))],
]

/** Every row of every table, as one hash each; the order of rows does not count. */
async function content(database: Database, kinds = ['r', 'm']): Promise<Record<string, string>> {
  const tables = await database.query<{ name: string; table: string }>(
    `SELECT relname AS name, format('%I', relname) AS table FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind = ANY ($1)`,
    [kinds],
  )
  const hashes: Record<string, string> = {}
  for (const { name, table } of tables) {
    const [row] = await database.query<{ hash: string }>(
      `SELECT count(*) || ':' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') AS hash FROM ${table} AS t`,
    )
    hashes[name] = row?.hash ?? ''
  }
  return hashes
}

describe.each(KINDS)('%s', (name, bytes) => {
  test('what it holds is told before anything is restored', async () => {
    const part = await made.judged(dumps.put(name.replaceAll(' ', '-'), bytes()))
    const counts = Object.fromEntries(part.tables.map(({ table, rows }) => [table, rows]))
    const [statuses] = await source.query<{ count: number }>('SELECT count(*)::int AS count FROM statuses')
    expect(counts).toMatchObject({ statuses: statuses?.count, oddities: 6, 'Nothing in It': 0 })
    expect(Object.keys(counts).sort()).toEqual(Object.keys(await content(source, ['r'])).sort())
    expect([...part.versions].sort()).toEqual(migrationsUpTo(made.RELEASE).map(({ id }) => id))
    expect(part).toMatchObject({ withoutRows: [], strange: null })
  })
})

/** What stands in the definitions. */
const ODD_TEXTS = `SELECT obj_description('oddities'::regclass) AS comment, odd() AS result,
  pg_get_functiondef('odd'::regproc) AS body, nextval('oddities_id_seq') > 6 AS sequence,
  (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'oddities'::regclass AND adnum = 3) AS preset`

const RESTORED = KINDS.filter((_, at) => FULL || [1, 4, 10].includes(at))

test.each(RESTORED)('psql makes the same database of %s', async (name, bytes) => {
  const database = await dumps.emptyDatabase()
  const sql = await made.sqlFor(dumps.put(name.replaceAll(' ', '-'), bytes()))
  expect(await feedPsql(sql, database, dumps.server)).toEqual({ code: 0, stderr: '', broke: undefined })
  const restored = await dumps.server.open(database)
  expect(await content(restored)).toEqual(await content(source))
  const [odd] = await restored.query(ODD_TEXTS)
  expect(odd).toEqual((await source.query(ODD_TEXTS))[0])
  await restored.close()
})

test('of all databases only that of Mastodon is handed on, and nothing of the server', async () => {
  const sql = await made.sqlFor(dumps.put('all.sql', dumps.dumpAll(['--clean'])))
  const text = Buffer.concat(await sql.toArray()).toString()
  expect(text).not.toMatch(/other application|plans/)
  expect(text).not.toMatch(/^(\\(?!\.$)|CREATE (DATABASE|ROLE)|ALTER (ROLE|DATABASE)|DROP |GRANT|REVOKE)|OWNER TO/m)
  expect(text.startsWith('BEGIN;\n')).toBe(true)
  expect(text.endsWith('\nCOMMIT;\n')).toBe(true)
})

test('a dump without Mastodon, of two of them, and one that is named', async () => {
  const none = dumps.put('none.sql', runClient('pg_dump', ['another app'], dumps.server).stdout)
  await expect(made.judged(none)).rejects.toMatchObject({
    code: 'dump-not-mastodon',
    why: expect.stringContaining('2 tables'),
  })
  const part = await made.judged(dumps.put('one.sql', dumps.dump()))
  const two = [
    { ...part, database: 'a' },
    { ...part, database: 'b' },
  ]
  expect(() => mastodonOf('two.sql', two)).toThrow('holds several databases of Mastodon')
  expect(mastodonOf('two.sql', two, 'b').database).toBe('b')
})

test('rows that were left out when the dump was made are named; data alone are refused', async () => {
  const part = await made.judged(dumps.put('part.sql', dumps.dump(['--exclude-table-data=oddities'])))
  expect(part.withoutRows).toEqual(['public.oddities'])
  const data = dumps.put('data.sql', dumps.dump(['--data-only']))
  await expect(made.judged(data)).rejects.toMatchObject({ exitCode: 3 })
})

test('a custom dump is surveyed by what pg_restore makes of it', async () => {
  const path = dumps.put('c.dump', dumps.dump(['-Fc']))
  const { stdout } = runClient('pg_restore', ['-f', '-', path])
  const part = mastodonOf(path, await surveyOf(Readable.from([stdout]), { path, cluster: false }))
  expect(part).toEqual(await made.judged(dumps.put('p.sql', dumps.dump())))
})

/** Returns the code of the refusal, or `whole`. */
async function refusal(path: string): Promise<string> {
  return made.judged(path).then(
    () => 'whole',
    error => (error instanceof RefusedError ? error.code : `${error.stack}`),
  )
}

/** Lengths at which a dump is cut: the ends, and places all over it. */
function cuts(length: number): number[] {
  const parts = FULL ? 200 : 6
  const inside = Array.from({ length: parts }, (_, part) => Math.floor((length * (part + 1)) / (parts + 1)))
  return [length - 1, length - 2, length - 3, length - 40, length - 90, 200, ...inside]
}

describe('what is cut off is refused', () => {
  test.each(KINDS)('%s, at 12 lengths', async (name, make) => {
    const bytes = make()
    for (const length of cuts(bytes.length)) {
      const code = await refusal(dumps.put(`cut-${name.replaceAll(' ', '-')}`, bytes.subarray(0, length)))
      expect(code, `${length} of ${bytes.length} bytes`).toMatch(/^dump-(cut|damaged)$/)
    }
  })

  test('at every line of the first rows, and of the last lines', async () => {
    const text = dumps.dump().toString('latin1')
    const from = text.indexOf('COPY public.statuses ')
    const ends = [...text.matchAll(/\n/g)].map(({ index }) => index + 1)
    const near = ends
      .filter(end => end < text.length && (end > text.length - 300 || (end > from && end < from + 3000)))
      .filter((_, at) => FULL || at % 3 === 0)
    expect(near.length).toBeGreaterThan(4)
    for (const end of near)
      expect(await refusal(dumps.put('cut', Buffer.from(text.slice(0, end), 'latin1'))), `${end}`).toBe('dump-cut')
  })

  test('custom format, at 12 lengths, by what pg_restore tells and writes', async () => {
    const bytes = dumps.dump(['-Fc'])
    for (const length of cuts(bytes.length)) {
      const path = dumps.put('cut.dump', bytes.subarray(0, length))
      const { code, stdout } = runClient('pg_restore', ['-f', '-', path])
      const ends = await surveyOf(Readable.from([stdout]), { path, cluster: false }).then(
        () => true,
        () => false,
      )
      expect(code !== 0 || !ends, `${length} of ${bytes.length} bytes`).toBe(true)
    }
  })

  test('psql commits nothing of it, even where it reads all up to the cut', async () => {
    const bytes = dumps.dump()
    const cut = bytes.subarray(0, bytes.indexOf('COPY public.statuses ') + 400)
    const path = dumps.put('cut.sql', cut)
    const database = await dumps.emptyDatabase()
    const kind = await made.sqlKindOf(path)
    const sql = await sqlOf(fileSource(path), kind, { database: undefined, runner: made.runner })
    expect((await feedPsql(sql, database, dumps.server)).broke).toMatchObject({ code: 'dump-cut' })
    const open = await dumps.server.open(database)
    expect(await content(open)).toEqual({})
    await open.close()
  })
})

describe('damage', () => {
  test.each([
    ['a row has a field less', (text: string) => text.replace(/^(\d+\t.*?)\t/m, '$1 '), 'dump-damaged'],
    ['an escape that is none', (text: string) => text.replace('\\N\t', '\\Q\t'), 'dump-damaged'],
    ['\\N and more', (text: string) => text.replace('\\N\t', '\\Nx\t'), 'dump-damaged'],
    ['a NUL in the rows', (text: string) => text.replace('\\N\t', '\\N\u0000\t'), 'dump-damaged'],
    [
      'one line with a carriage return',
      (text: string) => text.replace('SET lock_timeout = 0;\n', 'SET lock_timeout = 0;\r\n'),
      'dump-damaged',
    ],
    ['a line is gone from a COPY', (text: string) => text.replace(/^COPY public\.accounts .*\n/m, ''), 'dump-'],
    ['the data have no end', (text: string) => text.replace('\\.\n', ''), 'dump-'],
    ['a second dump behind it', (text: string) => text + text, 'dump-strange'],
    ['SQL behind it', (text: string) => `${text}SELECT 1;\n`, 'dump-damaged'],
  ])('%s', async (_, change, code) => {
    const text = change(dumps.dump().toString('utf8'))
    expect(await refusal(dumps.put('damaged.sql', text))).toMatch(new RegExp(`^${code}`))
  })

  test('bytes that are no UTF-8, in rows and in SQL', async () => {
    const bytes = dumps.dump()
    for (const where of [bytes.indexOf('日'), bytes.indexOf('日', bytes.indexOf('COPY public.oddities'))]) {
      const changed = Buffer.from(bytes)
      changed[where + 1] = 0x41
      expect(await refusal(dumps.put('letters.sql', changed))).toBe('dump-damaged')
    }
  })

  test('some lines through a terminal, some not', async () => {
    const text = made.throughTerminal(dumps.dumpAll()).toString('latin1')
    const mixed = Buffer.from(`${text.slice(0, -2)}\n`, 'latin1')
    expect(await refusal(dumps.put('mixed.sql', mixed))).toBe('dump-damaged')
  })

  test('a flipped byte in gzip and in zstd is always seen', async () => {
    const packed = [made.gzip(dumps.dump()), made.zstd(dumps.dump())]
    for (const bytes of packed) {
      for (let at = 12; at < bytes.length; at += Math.floor(bytes.length / (FULL ? 250 : 15))) {
        const flipped = Buffer.from(bytes)
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
        expect(await refusal(dumps.put('flipped', flipped)), `byte ${at}`).toMatch(/^dump-/)
      }
    }
  })

  test('a flipped byte in plain SQL never breaks the reading', async () => {
    const bytes = dumps.dump()
    const codes: string[] = []
    for (let at = 3; at < bytes.length; at += Math.floor(bytes.length / (FULL ? 1000 : 60))) {
      const flipped = Buffer.from(bytes)
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
      codes.push(await refusal(dumps.put('flipped', flipped)))
    }
    expect(codes.filter(code => !/^(whole|dump-)/.test(code))).toEqual([])
    expect(codes.filter(code => code !== 'whole').length).toBeGreaterThan(codes.length / 6)
  })
})

test('it makes no difference in what pieces the bytes come', async () => {
  const bytes = made.throughTerminal(dumps.dumpAll())
  const path = dumps.put('pieces.sql', bytes)
  const kind = await made.sqlKindOf(path)
  const whole = await survey(fileSource(path), kind, made.runner)
  for (const size of [1, 7, 1021]) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    )
    const source = { path, open: async () => Readable.from(pieces) }
    expect(await survey(source, kind, made.runner)).toEqual(whole)
  }
})
