import { Readable } from 'node:stream'
import type { Runner } from '../../runner.js'
import { grouped } from '../../text.js'
import type { DatabasePart } from './part.js'
import { unfit } from './problems.js'
import type { SqlDump } from './recognise.js'
import { DumpScan, type ScanOptions } from './scan.js'
import type { DumpSource } from './source.js'
import { mended } from './terminal.js'
import { unpacked } from './unpack.js'

/** Tables of every version of Mastodon: other applications have a schema_migrations, too. */
const MASTODONS = ['schema_migrations', 'accounts', 'statuses', 'users', 'follows', 'media_attachments']

/**
 * Reads a plain dump to its end and returns what each database in it holds; nothing is changed.
 *
 * @throws RefusedError where it is cut or damaged as far as its text tells, or holds what would not be restored.
 */
export async function survey(source: DumpSource, kind: SqlDump, runner: Runner): Promise<DatabasePart[]> {
  return surveyOf(await textOf(source, kind, runner), { path: source.path, cluster: kind.cluster })
}

/** As {@link survey}, for SQL that comes from elsewhere: what `pg_restore -f -` writes of a custom dump. */
export async function surveyOf(
  sql: AsyncIterable<Buffer>,
  options: Omit<ScanOptions, 'only'>,
): Promise<DatabasePart[]> {
  const scan = new DumpScan(options)
  for await (const chunk of sql) scan.take(chunk)
  scan.end()
  return scan.found()
}

/**
 * Returns the one database of Mastodon in a dump.
 *
 * @param wanted its name, where a dump holds several
 * @throws RefusedError where there is none, or more than one
 */
export function mastodonOf(path: string, parts: readonly DatabasePart[], wanted?: string): DatabasePart {
  const named = parts.filter(part => wanted === undefined || part.database === wanted)
  const fitting = named.filter(isMastodon)
  const [part] = fitting
  if (part?.strange)
    throw unfit(path, { code: 'dump-strange', is: 'holds what this tool does not restore', cause: part.strange })
  if (part && fitting.length === 1) return part
  const names = parts.map(
    ({ database, tables }) => `${database ?? 'one without a name'} (${grouped(tables.length)} tables)`,
  )
  const cause = names.length > 0 ? `It holds: ${names.join(', ')}.` : 'It holds no tables.'
  if (part) throw unfit(path, { code: 'dump-of-several', is: 'holds several databases of Mastodon', cause })
  throw unfit(path, { code: 'dump-not-mastodon', is: 'holds no database of Mastodon', cause })
}

function isMastodon({ tables }: DatabasePart): boolean {
  const names = new Set(tables.filter(({ schema }) => schema === 'public').map(({ table }) => table))
  return MASTODONS.every(name => names.has(name))
}

/**
 * Returns the SQL of one database, for `psql -X -v ON_ERROR_STOP=1` on a new and empty one.
 *
 * All of it is one transaction: `BEGIN` is the first statement, and `COMMIT` comes only after the dump was proven to be
 * whole, so that a stream that breaks off is never committed (`psql -1` commits what it got). Owners, privileges, and
 * what is the server's are left out: all belongs to whom psql signs in as. Fails with a RefusedError like `survey`.
 */
export async function sqlOf(
  source: DumpSource,
  kind: SqlDump,
  { database, runner }: { database: string | undefined; runner: Runner },
): Promise<Readable> {
  const scan = new DumpScan({ path: source.path, cluster: kind.cluster, only: { database } })
  return Readable.from(inTransaction(await textOf(source, kind, runner), scan))
}

async function* inTransaction(text: AsyncIterable<Buffer>, scan: DumpScan): AsyncGenerator<Buffer> {
  yield Buffer.from('BEGIN;\n')
  for await (const chunk of text) yield* scan.take(chunk)
  scan.end()
  yield Buffer.from('COMMIT;\n')
}

async function textOf(
  source: DumpSource,
  { packing, terminal }: SqlDump,
  runner: Runner,
): Promise<AsyncIterable<Buffer>> {
  const bytes = await unpacked(source, packing, runner).open()
  return terminal ? mended(source.path, bytes) : bytes
}
