import type { Database } from './access.js'
import { quoteIdent } from './quote.js'

export interface ForeignKey {
  name: string
  table: string
  column: string
  target: string
  key: string
  /** Whether a row goes with its target, or its column is emptied. */
  goes: boolean
  /** Several columns are not looked into: the server refuses to make the key again where it does not hold. */
  single: boolean
  definition: string
}

const KEYS = `SELECT f.conname::text AS name, c.relname::text AS "table", a.attname::text AS "column",
  t.relname::text AS target, k.attname::text AS key, f.confdeltype = 'c' OR a.attnotnull AS goes,
  cardinality(f.conkey) = 1 AS single, pg_get_constraintdef(f.oid) AS definition
FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class t ON t.oid = f.confrelid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.conkey[1]
JOIN pg_attribute k ON k.attrelid = t.oid AND k.attnum = f.confkey[1]
WHERE f.contype = 'f' AND c.relnamespace = current_schema()::regnamespace ORDER BY f.oid`

const silent = { recordAs: '' }

/** Takes all foreign keys of the database away and returns them; inside of a transaction that makes them again. */
export async function dropForeignKeys(database: Database): Promise<ForeignKey[]> {
  const keys = await database.query<ForeignKey>(KEYS)
  for (const { name, table } of keys) {
    await database.write(`ALTER TABLE ${quoteIdent(table)} DROP CONSTRAINT ${quoteIdent(name)}`, [], silent)
  }
  return keys
}

/** Makes them as they were. The server looks at every row, save for those that it had not looked at before. */
export async function makeForeignKeys(database: Database, keys: readonly ForeignKey[]): Promise<void> {
  for (const { name, table, definition } of keys) {
    const sql = `ALTER TABLE ${quoteIdent(table)} ADD CONSTRAINT ${quoteIdent(name)} ${definition}`
    await database.write(sql, [], silent)
  }
}

/** Does to rows without their target what the keys say for its deletion, until all have theirs. */
export async function cleanUp(database: Database, keys: readonly ForeignKey[]): Promise<void> {
  let due = keys.filter(({ single }) => single)
  while (due.length > 0) {
    const shrunk = new Set<string>()
    for (const key of due) if ((await putRight(database, key)) > 0 && key.goes) shrunk.add(key.table)
    due = keys.filter(({ single, target }) => single && shrunk.has(target))
  }
}

function putRight(database: Database, { table, column, target, key, goes }: ForeignKey): Promise<number> {
  const [name, quoted] = [quoteIdent(table), quoteIdent(column)]
  const change = goes ? `DELETE FROM ${name} t` : `UPDATE ${name} t SET ${quoted} = NULL`
  return database.write(
    `${change} WHERE ${quoted} IS NOT NULL
  AND NOT EXISTS (SELECT FROM ${quoteIdent(target)} p WHERE p.${quoteIdent(key)} = t.${quoted})`,
    [],
    silent,
  )
}
