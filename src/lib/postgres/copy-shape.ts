import { RefusedError } from '../errors.js'
import type { Database } from './access.js'
import type { TableCopy } from './copy-rows.js'
import type { RowSource } from './row-source.js'

export interface Column {
  name: string
  /** The type's quoted name with its schema, without a length: a cast to it cuts nothing off. */
  type: string
  required: boolean
  /** GENERATED ALWAYS AS IDENTITY. */
  identity: boolean
}

/** A column that points to a row of another table. */
export interface Reference {
  column: string
  /** Of the column, as in {@link Column}. */
  type: string
  target: string
  key: string
  /** Whether the target's rows are written before, at the same time or later, or not at all. */
  when: 'before' | 'later' | 'never'
  /** What becomes of the row without its target. */
  otherwise: 'empty' | 'leave'
}

/** What is to be known of a table to copy it. */
export interface Shape {
  /** Of both databases, without generated ones. */
  columns: Column[]
  references: Reference[]
  /** The primary key, where that is one column; else the first column. */
  key: Column
  /** Columns that only the old table has. */
  lost: string[]
}

export type Shapes = ReadonlyMap<string, Shape>

/**
 * Returns the tables to copy that are there, with what the new database says of them.
 *
 * @throws RefusedError when the new database lacks a table of the old one.
 */
export async function readTables(from: RowSource, to: Database, copies: readonly TableCopy[]): Promise<Shapes> {
  const order = [...new Set(copies.map(({ table }) => table))]
  const [old, fresh] = [await from.columns(order), await columnsOf(to, order)]
  const missing = order.filter(table => old.has(table) && !fresh.has(table))
  if (missing.length > 0) throw lacking(to.name, missing)
  const present = order.filter(table => old.has(table))
  const [keys, constraints] = [await keysOf(to, present), await foreignKeys(to, present)]
  return new Map(
    present.map(table => {
      const both = matching(old.get(table) ?? [], fresh.get(table) ?? [])
      const soft = copies.filter(copy => copy.table === table).flatMap(copy => softReferences(copy))
      const own = constraints.filter(constraint => constraint.table === table)
      const columns = both.columns
      const references = referencesOf({ table, columns, declared: [...own, ...soft], present })
      return [table, { ...both, references, key: keyOf(columns, keys.get(table)) }]
    }),
  )
}

function lacking(database: string, tables: readonly string[]): RefusedError {
  return new RefusedError({
    code: 'other-schema',
    message: `The database ${database} lacks ${tables.join(', ')}.`,
    cause: 'It was made by another release of Mastodon.',
    next: 'Nothing was copied. Bring the live database to the installed release (mstdn-ops db:migrate), then run the command again.',
  })
}

interface ColumnRow extends Column {
  table: string
  generated: boolean
}

const COLUMNS = `SELECT i.table_name::text AS "table", i.column_name::text AS name, a.attnotnull AS required,
  quote_ident(n.nspname) || '.' || quote_ident(t.typname) AS type, i.is_generated = 'ALWAYS' AS generated,
  coalesce(i.identity_generation = 'ALWAYS', false) AS identity
FROM information_schema.columns i
JOIN pg_attribute a ON a.attrelid = (quote_ident(i.table_schema) || '.' || quote_ident(i.table_name))::regclass
  AND a.attname = i.column_name
JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE i.table_schema = current_schema() AND i.table_name = ANY($1) ORDER BY i.ordinal_position`

/** What the server computes by itself is not to be written. */
async function columnsOf(db: Database, tables: readonly string[]): Promise<Map<string, ColumnRow[]>> {
  const rows = await db.query<ColumnRow>(COLUMNS, [tables])
  const named = (table: string) => rows.filter(row => row.table === table && !row.generated)
  return new Map(tables.map(table => [table, named(table)] as const).filter(([, columns]) => columns.length > 0))
}

function matching(old: readonly string[], fresh: readonly ColumnRow[]): Pick<Shape, 'columns' | 'lost'> {
  const [had, has] = [new Set(old), new Set(fresh.map(({ name }) => name))]
  return {
    columns: fresh.filter(({ name }) => had.has(name)),
    lost: [...had].filter(name => !has.has(name)),
  }
}

const KEYS = `SELECT c.relname::text AS "table", a.attname::text AS name
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE i.indisprimary AND i.indnatts = 1 AND c.relnamespace = current_schema()::regnamespace AND c.relname = ANY($1)`

async function keysOf(db: Database, tables: readonly string[]): Promise<Map<string, string>> {
  const rows = await db.query<{ table: string; name: string }>(KEYS, [tables])
  return new Map(rows.map(({ table, name }) => [table, name]))
}

function keyOf(columns: readonly Column[], name: string | undefined): Column {
  return (columns.find(column => column.name === name) ?? columns[0]) as Column
}

/** A foreign key, or what stands for one. */
interface Declared {
  column: string
  target: string
  key: string
  /** Undefined where a deletion of the target is refused. */
  otherwise: 'empty' | 'leave' | undefined
}

const FOREIGN_KEYS = `SELECT c.relname::text AS "table", a.attname::text AS "column", t.relname::text AS target,
  k.attname::text AS key, f.confdeltype::text AS deletion
FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class t ON t.oid = f.confrelid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.conkey[1]
JOIN pg_attribute k ON k.attrelid = t.oid AND k.attnum = f.confkey[1]
WHERE f.contype = 'f' AND cardinality(f.conkey) = 1
  AND c.relnamespace = current_schema()::regnamespace AND c.relname = ANY($1)`

async function foreignKeys(db: Database, tables: readonly string[]): Promise<Array<Declared & { table: string }>> {
  const rows = await db.query<Omit<Declared, 'otherwise'> & { table: string; deletion: string }>(FOREIGN_KEYS, [tables])
  const fates: Readonly<Record<string, 'empty' | 'leave'>> = { c: 'leave', n: 'empty', d: 'empty' }
  return rows.map(({ deletion, ...row }) => ({ ...row, otherwise: fates[deletion] }))
}

function softReferences({ references = [] }: TableCopy): Declared[] {
  return references.map(reference => ({ ...reference, key: 'id' }))
}

interface Parts {
  table: string
  columns: readonly Column[]
  declared: readonly Declared[]
  /** In the order in which they are written. */
  present: readonly string[]
}

function referencesOf({ table, columns, declared, present }: Parts): Reference[] {
  return declared.flatMap(({ column: name, target, key, otherwise }) => {
    const column = columns.find(candidate => candidate.name === name)
    if (column === undefined) return []
    const when = orderOf(present.indexOf(table), present.indexOf(target))
    const fate = column.required ? 'leave' : when === 'later' ? 'empty' : (otherwise ?? 'empty')
    if (column.required && when === 'later') throw new Error(`${table}.${name} needs ${target} to be written before`)
    return [{ column: name, type: column.type, target, key, when, otherwise: fate }]
  })
}

function orderOf(own: number, target: number): Reference['when'] {
  if (target === -1) return 'never'
  return target < own ? 'before' : 'later'
}
