import type { Database } from './access.js'
import { quoteIdent } from './quote.js'

/** A table that was never analysed is counted when it is no larger than this many bytes: some milliseconds. */
const SMALL = 1024 * 1024

export interface TableRows {
  schema: string
  table: string
  /** Undefined where nobody knows without counting a large table, or where we may not read it. */
  rows: number | undefined
  /** Counted, not estimated. False even in an exact count for a table that this user may not read. */
  exact: boolean
  /** On disk with indexes and oversized values. */
  bytes: number
  /** When the server last looked at the table (ANALYZE or VACUUM), which corrects its running count. */
  analyzedAt: Date | undefined
}

export interface RowCounts {
  database: string
  method: 'estimate' | 'exact'
  /** Of the tables whose rows are known. */
  rows: number
  /** The database's size on disk, catalogs and all. */
  bytes: number
  /** The most rows first. */
  tables: TableRows[]
  /** Names of the tables that are left out of `rows`. */
  unknown: string[]
  /** The oldest look at a table that matters (1 % of the rows or more); undefined where none was looked at. */
  analyzedAt: Date | undefined
  /** The server's clock. */
  takenAt: Date
}

export interface RowCountOptions {
  /** Count every row, in one state of the database. */
  exact: boolean
  /** Only this schema; without it all but the catalogs. */
  schema?: string
  /** Called before each table that is counted. */
  onProgress?: (done: number, of: number, table: string) => void
}

/**
 * Returns how many rows each table holds. The estimate costs one cheap statement, whatever the tables' size; views and
 * partitioned parents hold no rows of their own and are not listed, their partitions are.
 */
export async function rowCounts(db: Database, options: RowCountOptions): Promise<RowCounts> {
  const count = () => countTables(db, options)
  return options.exact ? db.snapshot(count) : count()
}

async function countTables(db: Database, options: RowCountOptions): Promise<RowCounts> {
  const [database] = await db.query<DatabaseRow>(DATABASE)
  const found = await db.query<TableRow>(TABLES, [options.schema ?? null])
  const tables = found.map(estimate)
  const uncounted = tables.filter((table, at) => found[at]?.readable && (options.exact || isSmallUnknown(table)))
  await countExactly(db, uncounted, options.onProgress)
  return summary(database, tables, options.exact ? 'exact' : 'estimate')
}

interface DatabaseRow {
  database: string
  bytes: number
  now: Date
}

const DATABASE = `SELECT current_database() AS database, pg_database_size(current_database()) AS bytes, now()`

interface TableRow {
  schema: string
  table: string
  readable: boolean
  /** Rows when the table was last looked at; 0 or less (-1 from 14 on) where that never was. */
  reltuples: number
  relpages: number
  pages: number
  /** The running count of the statistics; undefined where there are none. */
  live: number | null
  analyzed: Date | null
  bytes: number
}

/** The functions are columns of pg_stat_all_tables, which would read the catalogs of indexes besides. */
const TABLES = `SELECT n.nspname AS schema, c.relname AS table,
  has_table_privilege(c.oid, 'SELECT') AS readable, c.reltuples, c.relpages,
  pg_relation_size(c.oid) / current_setting('block_size')::int AS pages, pg_stat_get_live_tuples(c.oid) AS live,
  greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid),
    pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS analyzed,
  pg_total_relation_size(c.oid) AS bytes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND ($1::text IS NULL OR n.nspname = $1)`

function estimate(row: TableRow): TableRows {
  return {
    schema: row.schema,
    table: row.table,
    rows: row.bytes === null ? undefined : estimatedRows(row),
    exact: false,
    bytes: row.bytes ?? 0,
    analyzedAt: row.analyzed ?? undefined,
  }
}

/**
 * The running count is the freshest, but a crash of the server or a reset forgets it: then it begins at 0 again while
 * the catalog still knows the rows of the last look, which are carried to the table's present size as the planner does.
 */
function estimatedRows(row: TableRow): number | undefined {
  if (row.pages === 0) return 0
  const forgotten = row.analyzed === null && row.reltuples > 0
  const live = row.live ?? 0
  if (forgotten) return Math.max(live, Math.round(row.reltuples * growth(row)))
  // Never looked at, and less than a row a page: the count began later than the table.
  if (row.analyzed === null && live < row.pages) return undefined
  return live
}

function growth(row: TableRow): number {
  return row.relpages > 0 ? row.pages / row.relpages : 1
}

function isSmallUnknown(table: TableRows): boolean {
  return table.rows === undefined && table.bytes <= SMALL
}

/** One after another, since a session does one thing at a time; ONLY, for children are tables of their own. */
async function countExactly(db: Database, tables: TableRows[], onProgress: RowCountOptions['onProgress']) {
  for (const [at, table] of tables.entries()) {
    const name = `${quoteIdent(table.schema)}.${quoteIdent(table.table)}`
    onProgress?.(at, tables.length, `${table.schema}.${table.table}`)
    const [row] = await db.query<{ rows: number }>(`SELECT count(*) AS rows FROM ONLY ${name}`)
    table.rows = row?.rows
    table.exact = true
  }
}

function summary(database: DatabaseRow | undefined, tables: TableRows[], method: RowCounts['method']): RowCounts {
  tables.sort((a, b) => (b.rows ?? -1) - (a.rows ?? -1) || compare(a.table, b.table))
  const rows = tables.reduce((sum, table) => sum + (table.rows ?? 0), 0)
  return {
    database: database?.database ?? '',
    method,
    rows,
    bytes: database?.bytes ?? 0,
    tables,
    unknown: tables.filter(table => table.rows === undefined).map(table => `${table.schema}.${table.table}`),
    analyzedAt: oldestLook(tables, rows / 100),
    takenAt: database?.now ?? new Date(),
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function oldestLook(tables: TableRows[], atLeast: number): Date | undefined {
  const looks = tables.filter(table => (table.rows ?? 0) >= atLeast && table.analyzedAt !== undefined)
  const times = looks.map(table => table.analyzedAt?.getTime() ?? 0)
  return times.length === 0 ? undefined : new Date(Math.min(...times))
}
