import type { Database } from './access.js'
import type { TableCopy } from './copy-rows.js'
import { quoteIdent } from './quote.js'

/** Characters of text that a batch is meant to have: what this process holds at once is a few times that. */
export const BATCH = 500_000
export const MOST_ROWS = 5_000
/** Before anything is known of how long the rows are. */
const FIRST_ROWS = 10

/** Where the rows come from that are put into a database: another one, or files that hold rows of one. */
export interface RowSource {
  /** For the ledger, and to tell it from the database that is filled. */
  readonly name: string
  /** Returns the columns, without generated ones, of those of the tables that are there. */
  columns(tables: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>
  /** All that the work reads is read in one state. */
  reading<T>(work: () => Promise<T>): Promise<T>
  /** Returns the rows in batches, each as a JSON object with the text of at least these columns. */
  rows(copy: TableCopy, columns: readonly string[]): AsyncGenerator<string[]>
  /** Returns of the rows that have something in the column only that and, as `key`, the key; otherwise likewise. */
  pairs(copy: TableCopy, key: string, column: string): AsyncGenerator<string[]>
}

/** Returns the database as a source of rows. */
export function sourceOf(database: Database): RowSource {
  return {
    name: database.name,
    columns: tables => columnNames(database, tables),
    reading: work =>
      database.snapshot(async () => {
        await readExactly(database)
        return work()
      }),
    rows: (copy, columns) => batches(database, selectFrom(copy, columns)),
    pairs: (copy, key, column) => batches(database, selectPairs(copy, key, column)),
  }
}

const COLUMNS = `SELECT table_name::text AS "table", column_name::text AS name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = ANY($1) AND is_generated <> 'ALWAYS' ORDER BY ordinal_position`

async function columnNames(database: Database, tables: readonly string[]): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (const { table, name } of await database.query<{ table: string; name: string }>(COLUMNS, [tables]))
    found.set(table, [...(found.get(table) ?? []), name])
  return found
}

/** What a database or a role has set must not change how values are written; the snapshot's end takes it back. */
async function readExactly(from: Database): Promise<void> {
  const settings = { datestyle: 'ISO', intervalstyle: 'postgres', bytea_output: 'hex', extra_float_digits: '3' }
  for (const [name, value] of Object.entries({ ...settings, cursor_tuple_fraction: '1' })) {
    await from.query(`SELECT set_config('${name}', '${value}', true)`)
  }
}

/** Each row as a JSON object of texts, which keeps apart a NULL and the JSON value null. */
function selectFrom({ table, where, set = {} }: TableCopy, columns: readonly string[]): string {
  const values = columns.map(name => `(${set[name] ?? quoteIdent(name)})::text AS ${quoteIdent(name)}`)
  const rows = `SELECT ${values.join(', ')} FROM ${quoteIdent(table)}${where === undefined ? '' : ` WHERE ${where}`}`
  return `SELECT row_to_json(r)::text AS row FROM (${rows}) r`
}

function selectPairs({ table, where }: TableCopy, key: string, column: string): string {
  const quoted = quoteIdent(column)
  const pairs = `SELECT ${quoteIdent(key)}::text AS key, ${quoted}::text AS ${quoted} FROM ${quoteIdent(table)}
WHERE ${quoted} IS NOT NULL AND (${where ?? 'true'})`
  return `SELECT row_to_json(r)::text AS row FROM (${pairs}) r`
}

/**
 * Reads the rows of a query, a batch at a time. With a cursor and not by the key: conditions that look into other tables
 * are worked out once, not once for each batch.
 */
async function* batches(from: Database, select: string): AsyncGenerator<string[]> {
  await from.query(`DECLARE copied NO SCROLL CURSOR FOR ${select}`)
  let count = FIRST_ROWS
  for (;;) {
    const rows = (await from.query<{ row: string }>(`FETCH ${count} FROM copied`)).map(({ row }) => row)
    if (rows.length > 0) yield rows
    if (rows.length < count) break
    const length = rows.reduce((sum, row) => sum + row.length, 0) / rows.length
    count = Math.max(1, Math.min(MOST_ROWS, count * 4, Math.floor(BATCH / length)))
  }
  await from.query('CLOSE copied')
}
