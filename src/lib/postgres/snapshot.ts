import type { DatabaseTraits, TableCount } from '../backups/manifest.js'
import type { Database } from './access.js'
import { quoteIdent } from './quote.js'
import { type Shape, shapeOf } from './shape.js'

/** One state of the database that other sessions can read too. */
export interface ExportedSnapshot {
  /** What `pg_dump --snapshot` takes. */
  id: string
  traits: DatabaseTraits
  shape: Shape
  versions: string[]
  /** Counts every row of the tables whose data a dump holds. */
  counts(onProgress?: (done: number, of: number) => void): Promise<TableCount[]>
}

/**
 * Exports a snapshot for as long as `work` takes. The session is kept alive by it, and by no limit of the server's.
 *
 * Behind a pooler no session lasts, so that there is no snapshot to share: see {@link Database.pooled}.
 *
 * @throws RefusedError when a table is locked by somebody who changes it, like a migration.
 */
export async function withSnapshot<T>(
  database: Database,
  work: (snapshot: ExportedSnapshot) => Promise<T>,
): Promise<T> {
  const tables = await dumpedTables(database)
  return database.snapshot(async () => {
    await database.query("SET LOCAL idle_in_transaction_session_timeout = '0'")
    await holdTables(database, tables)
    const [row] = await database.query<{ id: string }>('SELECT pg_export_snapshot() AS id')
    return work({
      id: row?.id ?? '',
      ...(await description(database)),
      counts: onProgress => countRows(database, onProgress),
    })
  })
}

/**
 * Keeps tables from being rewritten or emptied, from before the snapshot on: one whose rewrite was under way when it was
 * taken seems to have no rows, to the counts as well as to pg_dump. The snapshot is taken by the first statement that is
 * not LOCK or SET. Source: PostgreSQL 15, "Caveats" and "LOCK".
 */
async function holdTables(database: Database, tables: readonly DumpedTable[]): Promise<void> {
  if (tables.length === 0) return
  const names = tables.map(table => `ONLY ${nameOf(table)}`).join(', ')
  await database.query(`LOCK TABLE ${names} IN ACCESS SHARE MODE`)
}

/** What a manifest tells of a database. */
export type Description = Pick<ExportedSnapshot, 'traits' | 'shape' | 'versions'>

/** Returns what the database is now, seen at one moment where this is asked inside of a snapshot. */
export async function description(database: Database): Promise<Description> {
  return {
    traits: await traitsOf(database),
    shape: await shapeOf(database),
    versions: await schemaVersions(database),
  }
}

/** The ids of the migrations that the database has had, ascending; none where it has no such table. */
async function schemaVersions(database: Database): Promise<string[]> {
  const [there] = await database.query<{ there: boolean }>(
    "SELECT to_regclass('schema_migrations') IS NOT NULL AS there",
  )
  if (!there?.there) return []
  const rows = await database.query<{ version: string }>('SELECT version::text FROM schema_migrations ORDER BY 1')
  return rows.map(row => row.version)
}

interface DumpedTable {
  schema: string
  table: string
  /** Of an extension's table, which of its rows are dumped: empty, or a WHERE clause that the extension wrote. */
  condition: string
}

/** A dump leaves out what belongs to an extension, but for the rows that it declares to be the user's. */
const DUMPED = `SELECT n.nspname AS schema, c.relname AS table, coalesce(own.condition, '') AS condition
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN (SELECT unnest(extconfig) AS oid, unnest(extcondition) AS condition FROM pg_extension) own ON own.oid = c.oid
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND (own.oid IS NOT NULL OR NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'))
ORDER BY 1, 2`

function dumpedTables(database: Database): Promise<DumpedTable[]> {
  return database.query<DumpedTable>(DUMPED)
}

function nameOf({ schema, table }: DumpedTable): string {
  return `${quoteIdent(schema)}.${quoteIdent(table)}`
}

/** Returns the rows of every table that a dump holds, by schema and name. */
export async function countRows(
  database: Database,
  onProgress?: (done: number, of: number) => void,
): Promise<TableCount[]> {
  const tables = await dumpedTables(database)
  const counts: TableCount[] = []
  for (const dumped of tables) {
    onProgress?.(counts.length, tables.length)
    const sql = `SELECT count(*) AS rows FROM ONLY ${nameOf(dumped)} ${dumped.condition}`
    const [row] = await database.query<{ rows: number }>(sql)
    counts.push({ schema: dumped.schema, table: dumped.table, rows: row?.rows ?? 0 })
  }
  return counts
}

/** `datlocprovider` came with 15; the name of the ICU locale's column changed with 17. */
function traitsQuery(version: number): string {
  const provider = version >= 150_000 ? 'd.datlocprovider' : "'c'"
  const locale = version >= 170_000 ? 'd.datlocale' : version >= 150_000 ? 'd.daticulocale' : 'NULL'
  return `SELECT d.datname AS name, pg_get_userbyid(d.datdba) AS owner, pg_encoding_to_char(d.encoding) AS encoding,
    d.datcollate AS collate, d.datctype AS ctype, ${provider}::text AS provider, ${locale} AS icu,
    pg_database_size(d.oid) AS bytes,
    (SELECT array_agg(s.line) FROM pg_db_role_setting r, unnest(r.setconfig) AS s(line)
      WHERE r.setdatabase = d.oid AND r.setrole = 0) AS settings,
    (SELECT array_agg(CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END || '=' || a.privilege_type)
      FROM aclexplode(d.datacl) a) AS grants
  FROM pg_database d WHERE d.datname = current_database()`
}

interface TraitsRow {
  name: string
  owner: string
  encoding: string
  collate: string
  ctype: string
  provider: string
  icu: string | null
  bytes: number
  settings: string[] | null
  grants: string[] | null
}

const PROVIDERS: Readonly<Record<string, DatabaseTraits['provider']>> = { c: 'libc', i: 'icu', b: 'builtin' }

/** Returns what another database must have to be the same to the app. */
export async function traitsOf(database: Database): Promise<DatabaseTraits> {
  const [row] = await database.query<TraitsRow>(traitsQuery(await database.serverVersionNum()))
  if (row === undefined) throw new Error('the database does not know itself')
  const extensions = await database.query<{ name: string; version: string; schema: string }>(
    `SELECT e.extname AS name, e.extversion AS version, n.nspname AS schema
     FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY 1`,
  )
  const roles = await database.query<{ role: string }>(
    `SELECT DISTINCT pg_get_userbyid(o.owner) AS role FROM (
       SELECT relowner AS owner FROM pg_class WHERE relnamespace <> 'pg_catalog'::regnamespace
       UNION SELECT datdba FROM pg_database WHERE datname = current_database()
       UNION SELECT (aclexplode(relacl)).grantee FROM pg_class WHERE relnamespace <> 'pg_catalog'::regnamespace
         AND relnamespace <> 'information_schema'::regnamespace) o WHERE o.owner <> 0 ORDER BY 1`,
  )
  const { provider, icu, settings, grants, ...rest } = row
  return {
    ...rest,
    provider: PROVIDERS[provider] ?? 'libc',
    icuLocale: icu,
    settings: Object.fromEntries((settings ?? []).map(pairOf)),
    grants: grants ?? [],
    roles: roles.map(({ role }) => role),
    extensions,
  }
}

function pairOf(line: string): [string, string] {
  const at = line.indexOf('=')
  return [line.slice(0, at), line.slice(at + 1)]
}
