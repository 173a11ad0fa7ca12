import type { Database } from './access.js'
import { quoteIdent, quoteLiteral } from './quote.js'

/** What a database is called that was replaced and is kept. */
const KEPT = 'mstdn_ops_kept_'
/** What a database is called that is to replace the live one. */
const FRESH = 'mstdn_ops_new_'

const spelled = (runId: string) => runId.replaceAll('-', '_')

export function keptName(runId: string): string {
  return `${KEPT}${spelled(runId)}`
}

export function freshName(runId: string): string {
  return `${FRESH}${spelled(runId)}`
}

/** A database that was replaced, and can be put back. */
export interface KeptDatabase {
  name: string
  /** The run that replaced it. */
  runId: string
  bytes: number
  /** What it was called while it was the live one. */
  of: string | null
  /** ISO 8601: from then on it may be dropped; null: when the operator says so. */
  until: string | null
}

/** Writes beside the database what it is and how long it is kept. */
export async function labelKept(maintenance: Database, name: string, of: string, until: string | null): Promise<void> {
  const label = quoteLiteral(JSON.stringify({ of, until }))
  await maintenance.write(`COMMENT ON DATABASE ${quoteIdent(name)} IS ${label}`)
}

/** Takes the label from a database that is the live one now. */
export async function unlabel(maintenance: Database, name: string): Promise<void> {
  await maintenance.write(`COMMENT ON DATABASE ${quoteIdent(name)} IS NULL`)
}

/** Returns the databases that are kept of the one with this name, newest first. */
export async function keptDatabases(maintenance: Database, of: string): Promise<KeptDatabase[]> {
  const rows = await maintenance.query<{ name: string; label: string | null; bytes: number }>(
    // The size of another instance's database may not be ours to ask.
    `SELECT datname AS name, shobj_description(oid, 'pg_database') AS label,
       CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) ELSE 0 END AS bytes
     FROM pg_database WHERE left(datname::text, length($1::text)) = $1::text ORDER BY datname DESC`,
    [KEPT],
  )
  const kept = rows.map(({ name, label, bytes }) => ({ name, bytes, runId: runIdOf(name), ...labelOf(label) }))
  return kept.filter(database => database.of === null || database.of === of)
}

function runIdOf(name: string): string {
  return name.slice(KEPT.length).replaceAll('_', '-')
}

/** Whose label somebody took away is kept until the operator says otherwise. */
function labelOf(label: string | null): Pick<KeptDatabase, 'of' | 'until'> {
  try {
    const { of, until } = JSON.parse(label ?? '{}') as { of?: string; until?: string | null }
    return { of: of ?? null, until: until ?? null }
  } catch {
    return { of: null, until: null }
  }
}
