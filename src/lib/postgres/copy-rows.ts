import { RefusedError, UnforeseenError } from '../errors.js'
import type { Database } from './access.js'
import { type Reference, readTables, type Shape, type Shapes } from './copy-shape.js'
import { sqlState } from './problems.js'
import { quoteIdent } from './quote.js'
import type { RowSource } from './row-source.js'

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
 * behind, as the foreign key says for a deletion. All is read in one state of the old database, or from what was written
 * down of it. Values travel as text that the server itself writes and reads, so every type arrives as it was. The ledger
 * gets a line for each table.
 *
 * @throws RefusedError when the new database is in use, or lacks a table of the old one.
 */
export async function copyTables(
  from: RowSource,
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
  return from.reading(async () => {
    const done: CopiedTable[] = []
    for (const copy of present) done.push(await copyRows(from, to, copy, shapes, options))
    for (const copy of present) await closeCircles(from, to, copy, shapes)
    return done
  })
}

async function mustBeFresh(from: RowSource, to: Database, table: string): Promise<void> {
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

async function copyRows(from: RowSource, to: Database, copy: TableCopy, shapes: Shapes, options: CopyOptions) {
  const shape = shapes.get(copy.table) as Shape
  const result = nothingOf(copy, shapes)
  const insert = insertInto(copy.table, shape)
  for await (const batch of from.rows(copy, namesOf(shape))) {
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

export function namesOf({ columns }: Shape): string[] {
  return columns.map(({ name }) => name)
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
async function closeCircles(from: RowSource, to: Database, copy: TableCopy, shapes: Shapes): Promise<void> {
  const { references, key } = shapes.get(copy.table) as Shape
  for (const reference of references.filter(({ when }) => when === 'later')) {
    const column = quoteIdent(reference.column)
    const id = quoteIdent(key.name)
    const update = `UPDATE ${quoteIdent(copy.table)} t SET ${column} = r.${column}::${reference.type}
FROM json_to_recordset($1::json) AS r (key text, ${column} text)
WHERE t.${id} = r.key::${key.type} AND ${isThere(reference)}`
    for await (const batch of from.pairs(copy, key.name, reference.column)) {
      await writeBatch(to, copy.table, update, batch)
    }
  }
}
