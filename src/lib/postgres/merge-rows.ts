import type { Database } from './access.js'
import { type CopiedTable, namesOf, type TableCopy, writeBatch } from './copy-rows.js'
import { readTables, type Shape, type Shapes } from './copy-shape.js'
import { cleanUp, dropForeignKeys, makeForeignKeys } from './foreign-keys.js'
import { lacksColumns } from './merge-problems.js'
import { quoteIdent } from './quote.js'
import type { RowSource } from './row-source.js'

/** The rows that are to be in a table afterwards, as a temporary table beside it that conditions may name. */
export const arriving = (table: string) => `mstdn_new_${table}`
/** The rows of the filled database that stay beside them. */
export const staying = (table: string) => `mstdn_old_${table}`
/** The ids of owners of whom nothing may stay. */
export const GONE = 'mstdn_gone'

export interface MergeOptions {
  /** All tables whose content comes from the first database, also those of which nothing is copied. */
  tables: readonly string[]
  /** Rows of the filled database that stay, by table; SQL over the row. Elsewhere none do. */
  stays: Readonly<Record<string, string>>
  /** Whose rows go with them: `column` in any other table holds an id of `table`, or one that `gone` returns. */
  owner: { table: string; column: string; gone: string }
  /** Statements before anything is changed, and when all is. They run if the tables that they name are there. */
  before: readonly MergeStatement[]
  after: readonly MergeStatement[]
  onProgress?: (table: string, rows: number) => void
}

export interface MergeStatement {
  needs: readonly string[]
  sql: string
}

/**
 * Puts rows of one database in the place of those that a filled one has in the same tables; all or nothing. Rows that
 * arrive win over any that would be twice by a unique index. What points to a row that is no more is emptied or goes
 * too, as its foreign key says for a deletion. The keys are taken away for that and made again, so that the server
 * itself proves that each of them holds. Returns what arrived, for each copy.
 *
 * @throws RefusedError when the filled database lacks a table or a column of the other.
 */
export async function mergeTables(
  from: RowSource,
  to: Database,
  copies: readonly TableCopy[],
  options: MergeOptions,
): Promise<CopiedTable[]> {
  // In the order of the whole, for what is copied may point to a table of which nothing is.
  const order = [...options.tables.map(table => ({ table })), ...copies]
  const shapes = await readTables(from, to, order)
  const lacking = [...shapes].flatMap(([table, { lost }]) => lost.map(column => `${table}.${column}`))
  if (lacking.length > 0) throw lacksColumns(to.name, lacking)
  const tables = options.tables.filter(table => shapes.has(table))
  return to.transaction(async () => {
    await to.write('SET LOCAL idle_in_transaction_session_timeout = 0', [], silent)
    const read = await takeOver(from, to, copies, shapes, tables, options)
    const keys = await dropForeignKeys(to)
    await replaceAll(to, tables, shapes, options)
    await keepReferences(to, copies, shapes)
    await cleanUp(to, keys)
    await runEach(to, options.after)
    await makeForeignKeys(to, keys)
    return withLeft(to, read, shapes)
  })
}

const silent = { recordAs: '' }

/** Reads what arrives into tables beside, in one state of the database that it comes from. */
async function takeOver(
  from: RowSource,
  to: Database,
  copies: readonly TableCopy[],
  shapes: Shapes,
  tables: readonly string[],
  { onProgress }: MergeOptions,
): Promise<CopiedTable[]> {
  for (const table of tables) {
    const columns = columnsOf(shapes.get(table) as Shape)
    const sql = `CREATE TEMP TABLE ${quoteIdent(arriving(table))} ON COMMIT DROP AS
SELECT ${columns} FROM ${quoteIdent(table)} WHERE false`
    await to.write(sql, [], silent)
  }
  return from.reading(async () => {
    const read: CopiedTable[] = []
    for (const copy of copies.filter(({ table }) => shapes.has(table))) {
      read.push({ table: copy.table, rows: await takeRows(from, to, copy, shapes), left: 0, lost: [] })
      if (read.at(-1)?.rows) onProgress?.(copy.table, read.at(-1)?.rows ?? 0)
    }
    return read
  })
}

async function takeRows(from: RowSource, to: Database, copy: TableCopy, shapes: Shapes): Promise<number> {
  const shape = shapes.get(copy.table) as Shape
  const values = shape.columns.map(({ name, type }) => `r.${quoteIdent(name)}::${type}`)
  const texts = shape.columns.map(({ name }) => `${quoteIdent(name)} text`)
  const insert = `INSERT INTO ${quoteIdent(arriving(copy.table))} (${columnsOf(shape)})
SELECT ${values.join(', ')} FROM json_to_recordset($1::json) AS r (${texts.join(', ')})`
  let rows = 0
  for await (const batch of from.rows(copy, namesOf(shape))) rows += await writeBatch(to, copy.table, insert, batch)
  if (rows > 0) await analyze(to, arriving(copy.table))
  return rows
}

/** Nothing else does it to a temporary table, and of an unknown one the server expects little. */
async function analyze(to: Database, table: string): Promise<void> {
  await to.write(`ANALYZE ${quoteIdent(table)}`, [], silent)
}

function columnsOf({ columns }: Shape): string {
  return columns.map(({ name }) => quoteIdent(name)).join(', ')
}

async function replaceAll(to: Database, tables: readonly string[], shapes: Shapes, options: MergeOptions) {
  const { owner, stays } = options
  await to.write(`CREATE TEMP TABLE ${GONE} ON COMMIT DROP AS ${owner.gone}`, [], silent)
  await analyze(to, GONE)
  await runEach(to, options.before)
  for (const table of tables) await replaceRows(to, table, shapes.get(table) as Shape, stays[table])
  await dropOwned(to, options)
}

/** What stays is written after what arrives, so that a unique index of whatever kind decides for that. */
async function replaceRows(to: Database, table: string, shape: Shape, stays: string | undefined): Promise<void> {
  const [name, key] = [quoteIdent(table), quoteIdent(shape.key.name)]
  const [fresh, old, columns] = [quoteIdent(arriving(table)), quoteIdent(staying(table)), columnsOf(shape)]
  const remembered = `CREATE TEMP TABLE ${old} ON COMMIT DROP AS SELECT ${columns} FROM ${name}
WHERE (${stays}) AND NOT EXISTS (SELECT FROM ${fresh} f WHERE f.${key} = ${name}.${key})`
  if (stays !== undefined) {
    await to.write(remembered, [], silent)
    await analyze(to, staying(table))
  }
  await to.write(`DELETE FROM ${name}`, [], silent)
  const identity = shape.columns.some(column => column.identity) ? ' OVERRIDING SYSTEM VALUE' : ''
  const insert = `INSERT INTO ${name} (${columns})${identity} SELECT ${columns} FROM`
  await to.write(`${insert} ${fresh}`, [], silent)
  if (stays !== undefined) await to.write(`${insert} ${old} ON CONFLICT DO NOTHING`, [], silent)
}

/** Not all of it hangs on a foreign key, and a key may only empty the column: the row would stay, with its content. */
async function dropOwned(to: Database, { tables, owner }: MergeOptions): Promise<void> {
  const rows = await to.query<{ table: string }>(
    `SELECT c.relname::text AS "table" FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $1
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
  AND a.atttypid IN ('int4'::regtype, 'int8'::regtype) AND NOT a.attisdropped`,
    [owner.column],
  )
  const column = quoteIdent(owner.column)
  const isNobodys = `${column} IS NOT NULL AND NOT EXISTS (SELECT FROM ${quoteIdent(owner.table)} o WHERE o.id = t.${column})`
  // One by one, for the server joins what stands alone, and looks an OR up row by row.
  const conditions = [`${column} IN (SELECT id FROM ${GONE})`, isNobodys]
  for (const { table } of rows.filter(row => !tables.includes(row.table)))
    for (const condition of conditions)
      await to.write(`DELETE FROM ${quoteIdent(table)} t WHERE ${condition}`, [], silent)
}

/** Those that no foreign key declares. */
async function keepReferences(to: Database, copies: readonly TableCopy[], shapes: Shapes): Promise<void> {
  for (const { table, references = [] } of copies.filter(copy => shapes.has(copy.table))) {
    for (const { column, target, otherwise } of references) {
      const [name, quoted] = [quoteIdent(table), quoteIdent(column)]
      const dangling = `${quoted} IS NOT NULL AND NOT EXISTS (SELECT FROM ${quoteIdent(target)} p WHERE p.id = t.${quoted})`
      const change = otherwise === 'empty' ? `UPDATE ${name} t SET ${quoted} = NULL` : `DELETE FROM ${name} t`
      await to.write(`${change} WHERE ${dangling}`, [], silent)
    }
  }
}

async function runEach(to: Database, statements: readonly MergeStatement[]): Promise<void> {
  for (const { needs, sql } of statements) {
    const [row] = await to.query<{ there: boolean }>(
      'SELECT bool_and(to_regclass(quote_ident(name)) IS NOT NULL) AS there FROM unnest($1::text[]) AS t (name)',
      [needs],
    )
    if (row?.there) await to.write(sql, [], silent)
  }
}

/** Of a table that was copied twice the last one tells what stayed behind. */
async function withLeft(to: Database, read: readonly CopiedTable[], shapes: Shapes): Promise<CopiedTable[]> {
  const left = new Map<string, number>()
  for (const table of new Set(read.map(copied => copied.table))) {
    const key = quoteIdent((shapes.get(table) as Shape).key.name)
    const [row] = await to.query<{ rows: number }>(
      `SELECT count(*) AS rows FROM ${quoteIdent(arriving(table))} n
WHERE NOT EXISTS (SELECT FROM ${quoteIdent(table)} t WHERE t.${key} = n.${key})`,
    )
    left.set(table, row?.rows ?? 0)
  }
  return read
    .toReversed()
    .map(copied => {
      const behind = Math.min(left.get(copied.table) ?? 0, copied.rows)
      left.set(copied.table, (left.get(copied.table) ?? 0) - behind)
      return { ...copied, rows: copied.rows - behind, left: behind }
    })
    .toReversed()
}
