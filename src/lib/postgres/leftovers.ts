import type { Database } from './access.js'
import { quoteIdent } from './quote.js'

/** A table or an index of the live schema, with what forbids to drop it. */
export interface Leftover {
  name: string
  kind: 'table' | 'index'
  /** The table that an index is on; of a table its own name. */
  table: string
  /** The statement by which an index would be made again; null of a table. */
  definition: string | null
  /** The constraint that an index stands behind: it goes with the constraint alone. */
  constraint: string | null
  /** Whether a table holds a row. */
  filled: boolean
}

const LOOK = `SELECT c.relname AS name, CASE c.relkind WHEN 'i' THEN 'index' ELSE 'table' END AS kind,
    coalesce(t.relname, c.relname) AS "table", con.conname AS constraint,
    CASE c.relkind WHEN 'i' THEN pg_get_indexdef(c.oid) END AS definition
  FROM pg_class c
  LEFT JOIN pg_index i ON i.indexrelid = c.oid
  LEFT JOIN pg_class t ON t.oid = i.indrelid
  LEFT JOIN pg_constraint con ON con.conindid = c.oid AND con.conrelid = i.indrelid
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'i') AND c.relname = ANY($1::text[])
  ORDER BY c.relkind DESC, c.relname`

/** Returns those of the names that there are: tables first. */
export async function leftoversOf(database: Database, names: readonly string[]): Promise<Leftover[]> {
  const found = await database.query<Omit<Leftover, 'filled'>>(LOOK, [names])
  const looked: Leftover[] = []
  for (const one of found) looked.push({ ...one, filled: one.kind === 'table' && (await isFilled(database, one.name)) })
  return looked
}

/**
 * Drops them, all or none: tables that nobody can write into meanwhile and that are empty then, and indexes.
 *
 * @throws RefusedError when something else depends on one; what `refuse` throws for a table that holds rows by now.
 */
export async function dropLeftovers(
  database: Database,
  leftovers: readonly Leftover[],
  refuse: (table: string) => Error,
): Promise<void> {
  const dropped = leftovers.filter(({ kind }) => kind === 'table').map(({ name }) => name)
  const tables = dropped.map(name => quoteIdent(name))
  // An index goes with its table.
  const alone = leftovers.filter(({ kind, table }) => kind === 'index' && !dropped.includes(table))
  const indexes = alone.map(({ name }) => quoteIdent(name))
  await database.transaction(async () => {
    if (tables.length > 0) {
      await database.write(`LOCK TABLE ${tables.join(', ')} IN ACCESS EXCLUSIVE MODE`)
      for (const name of dropped) if (await isFilled(database, name)) throw refuse(name)
      await database.write(`DROP TABLE ${tables.join(', ')}`)
    }
    if (indexes.length > 0) await database.write(`DROP INDEX ${indexes.join(', ')}`)
  })
}

async function isFilled(database: Database, table: string): Promise<boolean> {
  const [row] = await database.query<{ filled: boolean }>(`SELECT EXISTS (SELECT FROM ${quoteIdent(table)}) AS filled`)
  return row?.filled ?? false
}
