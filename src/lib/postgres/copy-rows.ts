import { RefusedError, UnforeseenError } from '../errors.js'
import type { Database } from './access.js'
import { type Reference, readTables, type Shape, type Shapes } from './copy-shape.js'
import { sqlState } from './problems.js'
import { quoteIdent } from './quote.js'

/** Characters of text that a batch is meant to have: what this process holds at once is a few times that. */
const BATCH = 500_000
const MOST_ROWS = 5_000
/** Before anything is known of how long the rows are. */
const FIRST_ROWS = 10

/** Rows of one table to be copied. */
export interface TableCopy {
  table: string
  /** SQL over the database that they come from; without it all rows. It may name other tables of that database. */
  where?: string
  /** Columns that change on the way, as SQL over the row. */
  set?: Readonly<Record<string, string>>
  /** Columns that point to other rows although no foreign key says so. */
  references?: ReadonlyArray<{ column: string; target: string; otherwise: 'empty' | 'leave' }>
}

export interface CopiedTable {
  table: string
  rows: number
  /** Rows that stayed behind, for they cannot be without a row that is not copied. */
  left: number
  /** Columns that only the old table has: what stood in them is not copied. */
  lost: string[]
}

type Named = Pick<Database, 'name'>

export interface CopyOptions {
  /** A table that is empty in any database that may be written over. */
  mustBeEmpty: string
  /** Called after each batch with the rows of the table so far. */
  onProgress?: (table: string, rows: number) => void
}

/**
 * Copies rows of several tables into a fresh database, in the order given; returns what was copied of each. Tables that
 * neither database has are passed over. What a seed has put into these tables goes first: the old rows win, also over
 * what had been deleted there. So a copy that was broken off can be done again.
 *
 * What is not copied is left out as if it had been deleted: a column that points to it is emptied, or its row stays
 * behind, as the foreign key says for a deletion. All is read in one state of the old database. Values travel as text
 * that the server itself writes and reads, so every type arrives as it was. The ledger gets a line for each table.
 *
 * @throws RefusedError when the new database is in use, or lacks a table of the old one.
 */
export async function copyTables(
  from: Database,
  to: Database,
  copies: readonly TableCopy[],
  options: CopyOptions,
): Promise<CopiedTable[]> {
  await mustBeFresh(from, to, options.mustBeEmpty)
  const shapes = await readTables(from, to, copies)
  const present = copies.filter(({ table }) => shapes.has(table))
  await clear(to, [...new Set(present.map(({ table }) => table))])
  for (const copy of present) await to.write('SELECT', [], { recordAs: asCopy(from, to, copy) })
  if (to.dryRun) return present.map(copy => nothingOf(copy, shapes))
  return from.snapshot(async () => {
    await readExactly(from)
    const done: CopiedTable[] = []
    for (const copy of present) done.push(await copyRows(from, to, copy, shapes, options))
    for (const copy of present) await closeCircles(from, to, copy, shapes)
    return done
  })
}

async function mustBeFresh(from: Database, to: Database, table: string): Promise<void> {
  if (from.name === to.name) throw new Error(`${from.name} cannot be copied into itself`)
  if (to.dryRun) return
  const [row] = await to.query<{ used: boolean }>(`SELECT EXISTS (SELECT FROM ${quoteIdent(table)}) AS used`)
  if (!row?.used) return
  throw new RefusedError({
    code: 'database-in-use',
    message: `The database ${to.name} is not empty.`,
    cause: `Its table ${table} has rows already.`,
    next: 'Nothing was copied. Run the command again: it makes a new, empty database.',
  })
}

/** The last first, for those point to the earlier ones; without a word where there is nothing. */
async function clear(to: Database, tables: readonly string[]): Promise<void> {
  for (const table of tables.toReversed()) {
    const [row] = await to.query<{ filled: boolean }>(`SELECT EXISTS (SELECT FROM ${quoteIdent(table)}) AS filled`)
    if (row?.filled) await to.write(`DELETE FROM ${quoteIdent(table)}`)
  }
}

function nothingOf({ table }: TableCopy, shapes: Shapes): CopiedTable {
  return { table, rows: 0, left: 0, lost: shapes.get(table)?.lost ?? [] }
}

/** What a database or a role has set must not change how values are written; the snapshot's end takes it back. */
export async function readExactly(from: Database): Promise<void> {
  const settings = { datestyle: 'ISO', intervalstyle: 'postgres', bytea_output: 'hex', extra_float_digits: '3' }
  for (const [name, value] of Object.entries({ ...settings, cursor_tuple_fraction: '1' })) {
    await from.query(`SELECT set_config('${name}', '${value}', true)`)
  }
}

async function copyRows(from: Database, to: Database, copy: TableCopy, shapes: Shapes, options: CopyOptions) {
  const shape = shapes.get(copy.table) as Shape
  const result = nothingOf(copy, shapes)
  const insert = insertInto(copy.table, shape)
  for await (const batch of batches(from, selectFrom(copy, shape))) {
    const rows = await writeBatch(to, copy.table, insert, batch)
    result.rows += rows
    result.left += batch.length - rows
    options.onProgress?.(copy.table, result.rows)
  }
  return result
}

/** Returns the number of rows. Of a value that the server refuses its message tells the first words, which may be a key. */
export async function writeBatch(to: Database, table: string, sql: string, batch: readonly string[]): Promise<number> {
  try {
    return await to.write(sql, [`[${batch.join(',')}]`], { recordAs: '' })
  } catch (error) {
    const state = sqlState(error)
    if (state === undefined || !/^2[23]/.test(state)) throw error
    const parts = { code: `sql-${state}`, message: `PostgreSQL (${to.where}) refused rows of ${table}` }
    throw new UnforeseenError({ ...parts, cause: `SQLSTATE ${state}`, next: 'see the server’s log' })
  }
}

/** Returns the line for the ledger: what it takes by hand. */
export function asCopy(from: Named, to: Named, { table, where }: TableCopy): string {
  const rows = `SELECT * FROM ${table}${where === undefined ? '' : ` WHERE ${where.replaceAll(/\s+/g, ' ')}`}`
  return `COPY ${table} FROM STDIN /* in ${to.name}: what COPY (${rows}) TO STDOUT gives in ${from.name} */`
}

/** Each row as a JSON object of texts, which keeps apart a NULL and the JSON value null. */
export function selectFrom({ table, where, set = {} }: TableCopy, { columns }: Shape): string {
  const values = columns.map(({ name }) => `(${set[name] ?? quoteIdent(name)})::text AS ${quoteIdent(name)}`)
  const rows = `SELECT ${values.join(', ')} FROM ${quoteIdent(table)}${where === undefined ? '' : ` WHERE ${where}`}`
  return `SELECT row_to_json(r)::text AS row FROM (${rows}) r`
}

function insertInto(table: string, shape: Shape): string {
  const names = shape.columns.map(({ name }) => quoteIdent(name))
  const texts = names.map(name => `${name} text`)
  const identity = shape.columns.some(column => column.identity) ? ' OVERRIDING SYSTEM VALUE' : ''
  const values = shape.columns.map(column => written(column, shape.references))
  const conditions = shape.references.flatMap(conditionFor)
  return `INSERT INTO ${quoteIdent(table)} (${names.join(', ')})${identity}
SELECT ${values.join(', ')} FROM json_to_recordset($1::json) AS r (${texts.join(', ')})
WHERE ${['true', ...conditions].join(' AND ')}`
}

function written(column: { name: string; type: string }, references: readonly Reference[]): string {
  const reference = references.find(({ column: name }) => name === column.name)
  const value = `r.${quoteIdent(column.name)}::${column.type}`
  if (reference === undefined || reference.otherwise === 'leave') return value
  if (reference.when === 'never' || reference.when === 'later') return `NULL::${column.type}`
  return `CASE WHEN ${isThere(reference)} THEN ${value} END`
}

/** A row that has to wait for a later one is written without it, whatever its foreign key says. */
function conditionFor(reference: Reference): string[] {
  if (reference.otherwise !== 'leave') return []
  const empty = `r.${quoteIdent(reference.column)} IS NULL`
  return [reference.when === 'never' ? empty : `(${empty} OR ${isThere(reference)})`]
}

function isThere({ column, type, target, key }: Reference): string {
  return `EXISTS (SELECT FROM ${quoteIdent(target)} p WHERE p.${quoteIdent(key)} = r.${quoteIdent(column)}::${type})`
}

/** Fills the columns in that point to rows which were not there yet: of the own table, or of a later one. */
async function closeCircles(from: Database, to: Database, copy: TableCopy, shapes: Shapes): Promise<void> {
  const { references, key } = shapes.get(copy.table) as Shape
  for (const reference of references.filter(({ when }) => when === 'later')) {
    const column = quoteIdent(reference.column)
    const id = quoteIdent(key.name)
    const pairs = `SELECT ${id}::text AS key, ${column}::text AS ${column} FROM ${quoteIdent(copy.table)}
WHERE ${column} IS NOT NULL AND (${copy.where ?? 'true'})`
    const update = `UPDATE ${quoteIdent(copy.table)} t SET ${column} = r.${column}::${reference.type}
FROM json_to_recordset($1::json) AS r (key text, ${column} text)
WHERE t.${id} = r.key::${key.type} AND ${isThere(reference)}`
    for await (const batch of batches(from, `SELECT row_to_json(r)::text AS row FROM (${pairs}) r`)) {
      await writeBatch(to, copy.table, update, batch)
    }
  }
}

/**
 * Reads the rows of a query, a batch at a time. With a cursor and not by the key: conditions that look into other tables
 * are worked out once, not once for each batch.
 */
export async function* batches(from: Database, select: string): AsyncGenerator<string[]> {
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
