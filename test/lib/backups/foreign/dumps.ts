import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { databaseName, fillDatabase } from '../../../../src/lib/backends/direct/sandbox/server/fill.js'
import type { DatabasePart } from '../../../../src/lib/backups/foreign/part.js'
import { type DumpKind, recognise, type SqlDump } from '../../../../src/lib/backups/foreign/recognise.js'
import { fileSource } from '../../../../src/lib/backups/foreign/source.js'
import { mastodonOf, sqlOf, survey } from '../../../../src/lib/backups/foreign/sql.js'
import { Ledger } from '../../../../src/lib/ledger.js'
import { Output } from '../../../../src/lib/output.js'
import { Runner } from '../../../../src/lib/runner.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'
import { clientOutput } from '../../../support/postgres-clients.js'

export const runner = new Runner({ output: new Output({ quiet: true }), ledger: new Ledger() })
export const RELEASE = '4.3.8'
export { databaseName }

/** What people write: letters, and what SQL, psql and COPY have signs for. */
const ODD = [
  `tab\there, new\nline, return\r\nand \\ backslash \\. \\N $$ $a$ ' '' " ; -- /* :x :'y' %`,
  '\\.',
  '\\! touch here',
  '日本語 é 🐘 \u0095',
  '',
  "E'\\' \\g | sh",
]

/** A server with a Mastodon-shaped database, and dumps of it in a folder. */
export interface Dumps {
  server: TestPostgres
  dir: string
  /** Writes a file there and returns its path. */
  put(name: string, content: Buffer | string): string
  dump(args?: readonly string[]): Buffer
  dumpAll(args?: readonly string[]): Buffer
  /** Makes an empty database with a name of its own. */
  emptyDatabase(): Promise<string>
  stop(): Promise<void>
}

export async function makeDumps(): Promise<Dumps> {
  const server = await startPostgres()
  const dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-foreign-'))
  await fillDatabase(server, RELEASE, { statuses: 10, remoteAccounts: 3 })
  await addOddities(server)
  let made = 0
  return {
    ...{ server, dir },
    put(name, content) {
      writeFileSync(join(dir, name), content)
      return join(dir, name)
    },
    dump: once((args = []) => clientOutput('pg_dump', [...args, databaseName], server)),
    dumpAll: once((args = []) => clientOutput('pg_dumpall', args, server)),
    emptyDatabase: () => server.createDatabase(`restored_${made++}`),
    async stop() {
      await server.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** The database stays as it is, so that a dump need not be made twice. */
function once(make: (args?: readonly string[]) => Buffer): (args?: readonly string[]) => Buffer {
  const made = new Map<string, Buffer>()
  return (args = []) => {
    const known = made.get(args.join(' ')) ?? make(args)
    made.set(args.join(' '), known)
    return known
  }
}

async function addOddities(server: TestPostgres): Promise<void> {
  const other = await server.open(await server.createDatabase('another app'))
  await other.write('CREATE TABLE schema_migrations (version varchar); CREATE TABLE plans (secret text)')
  await other.write(`INSERT INTO plans VALUES ('the other application''s secret')`)
  await other.close()
  const database = await server.open(databaseName)
  await database.write(`CREATE TABLE oddities (id serial PRIMARY KEY, text text, note text DEFAULT $$a\\b\n'é$$)`)
  for (const text of ODD) await database.write('INSERT INTO oddities (text) VALUES ($1)', [text])
  await database.write(`COMMENT ON TABLE oddities IS 'its \\ "owner''s" 日本; \\! touch here'`)
  await database.write(
    `CREATE FUNCTION odd() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN '\\ ''é'; END -- it's $$`,
  )
  await database.write('CREATE TABLE "Nothing in It" ()')
  await database.write('CREATE MATERIALIZED VIEW odd_view AS SELECT count(*) AS count FROM oddities')
  await database.close()
}

/** What `docker exec -t` does to what comes out of the container. */
export function throughTerminal(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll('\n', '\r\n'), 'latin1')
}

export function zstd(bytes: Buffer): Buffer {
  const { stdout, error, status } = spawnSync('zstd', ['-qc'], { input: bytes, maxBuffer: 2 ** 28 })
  if (error || status !== 0) throw new Error('The program zstd is missing: apt-get install zstd')
  return stdout
}

export const gzip = (bytes: Buffer) => gzipSync(bytes)

export function kindOf(path: string): Promise<DumpKind> {
  return recognise(fileSource(path), runner)
}

export async function sqlKindOf(path: string): Promise<SqlDump> {
  const kind = await kindOf(path)
  if (kind.format !== 'sql') throw new Error(`${path} is ${kind.format}`)
  return kind
}

/** Everything that is asked of a plain dump before a restore. */
export async function judged(path: string): Promise<DatabasePart> {
  return mastodonOf(path, await survey(fileSource(path), await sqlKindOf(path), runner))
}

/** The SQL of Mastodon's database. */
export async function sqlFor(path: string) {
  const { database } = await judged(path)
  return sqlOf(fileSource(path), await sqlKindOf(path), { database, runner })
}
