import { createHash } from 'node:crypto'
import type { Database } from './access.js'

/** A short hash of each object's definition, by `kind name`. */
export type Shape = Record<string, string>

/** Not what belongs to PostgreSQL or to an extension. */
const OWN = (classid: string, oid: string, namespace: string) => `${namespace} !~ '^pg_'
  AND ${namespace} <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.objid = ${oid} AND d.classid = '${classid}'::regclass AND d.deptype = 'e')`

/**
 * NOT NULL is told by the columns: from PostgreSQL 18 on it is a constraint with a name besides. An index that is not
 * valid, what a broken CREATE INDEX CONCURRENTLY leaves, is in no dump (pg_dump.c, getIndexes), so no copy has it.
 */
const OBJECTS = `SELECT 'column' AS kind, n.nspname || '.' || c.relname || '.' || a.attname AS name,
    concat_ws(' ', row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod),
      a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(f.adbin, f.adrelid)) AS definition
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
  WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm') AND ${OWN('pg_class', 'c.oid', 'n.nspname')}
UNION ALL
  SELECT 'index', n.nspname || '.' || c.relname, pg_get_indexdef(c.oid) FROM pg_class c
  JOIN pg_index i ON i.indexrelid = c.oid AND (i.indisvalid OR c.relkind = 'I') AND i.indisready
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('i', 'I') AND ${OWN('pg_class', 'c.oid', 'n.nspname')}
    AND n.nspname <> 'pg_toast'
UNION ALL
  SELECT 'constraint', n.nspname || '.' || t.relname || '.' || k.conname, pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
  WHERE k.contype <> 'n' AND ${OWN('pg_class', 't.oid', 'n.nspname')}
UNION ALL
  SELECT CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'm' THEN 'materialized view' ELSE 'view' END,
    n.nspname || '.' || c.relname, CASE c.relkind WHEN 'S' THEN '' ELSE pg_get_viewdef(c.oid) END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('S', 'v', 'm') AND ${OWN('pg_class', 'c.oid', 'n.nspname')}
UNION ALL
  SELECT 'function', n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
    pg_get_functiondef(p.oid)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE p.prokind IN ('f', 'p') AND ${OWN('pg_proc', 'p.oid', 'n.nspname')}
UNION ALL
  SELECT 'trigger', n.nspname || '.' || t.relname || '.' || g.tgname, pg_get_triggerdef(g.oid)
  FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid JOIN pg_namespace n ON n.oid = t.relnamespace
  WHERE NOT g.tgisinternal AND ${OWN('pg_class', 't.oid', 'n.nspname')}`

/** Stands among the objects: the major version of the server that wrote their definitions. */
const WRITTEN_BY = 'server'

/** Returns the definitions of what is in the database. */
export async function shapeOf(database: Database): Promise<Shape> {
  const version = await database.serverVersionNum()
  const rows = await database.query<{ kind: string; name: string; definition: string }>(objectsOf(version))
  const entries = rows.map(({ kind, name, definition }) => [`${kind} ${name}`, hashOf(definition)] as const)
  const sorted = entries.sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries([[WRITTEN_BY, String(Math.floor(version / 10_000))], ...sorted])
}

/** Generated columns came with PostgreSQL 12, `prokind` with 11 (`proisagg` before), identity columns with 10. */
function objectsOf(version: number): string {
  const generated = version >= 120_000 ? OBJECTS : OBJECTS.replace('a.attgenerated', "''")
  const kinds = version >= 110_000 ? generated : generated.replace("p.prokind IN ('f', 'p')", 'NOT p.proisagg')
  return version >= 100_000 ? kinds : kinds.replace('a.attidentity', "''")
}

function hashOf(definition: string): string {
  return createHash('sha256').update(definition).digest('hex').slice(0, 12)
}

/**
 * Returns in words how the second differs from the first: what is missing, what is new, what is another. Two major
 * versions of PostgreSQL write the same view in other words (16 names its columns otherwise than 15), so that between them
 * only the definitions of columns are compared.
 */
export function shapeDifferences(expected: Shape, found: Shape): string[] {
  const names = [...new Set([...Object.keys(expected), ...Object.keys(found)])].filter(name => name !== WRITTEN_BY)
  const sameWords = expected[WRITTEN_BY] === found[WRITTEN_BY]
  return names.flatMap(name => {
    if (expected[name] === found[name]) return []
    if (found[name] === undefined) return [`${name} is missing`]
    if (expected[name] === undefined) return [`${name} is too many`]
    return sameWords || name.startsWith('column ') ? [`${name} is another`] : []
  })
}
