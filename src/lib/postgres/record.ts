import type { Database } from './access.js'
import { quoteIdent, quoteLiteral } from './quote.js'

/** A run that has emptied the database and has not ended: nobody else may take what is in it for the instance's state. */
export interface RunRecord {
  runId: string
  /** Like `root@host`. */
  by: string
  /** ISO 8601. */
  since: string
}

const RECORD = /^mstdn-ops: run (\S+) by (\S+) since (\S+) has not ended$/
/** Dumps and restores pass it by: a comment on a database is in no dump (from PostgreSQL 11 on). */
export const READ_RECORD = `SELECT shobj_description(oid, 'pg_database') AS text FROM pg_database
WHERE datname = current_database()`

/** Returns the record in the comment of a database; undefined where it is another comment. */
export function recordIn(text: string | null | undefined): RunRecord | undefined {
  const [, runId, by, since] = RECORD.exec(text ?? '') ?? []
  return runId === undefined || by === undefined || since === undefined ? undefined : { runId, by, since }
}

/** Returns the record of the database that the session is in. */
export async function readRecord(database: Database): Promise<RunRecord | undefined> {
  const [row] = await database.query<{ text: string | null }>(READ_RECORD)
  return recordIn(row?.text)
}

/** Writes it beside the database; undefined takes it away. */
export async function writeRecord(database: Database, record: RunRecord | undefined): Promise<void> {
  await database.write(recordStatement(database.name, record), [], { recordAs: '' })
}

/** Returns the statement that does so. */
export function recordStatement(database: string, record: RunRecord | undefined): string {
  const { runId, by, since } = record ?? {}
  const text = quoteLiteral(`mstdn-ops: run ${runId} by ${by} since ${since} has not ended`)
  return `COMMENT ON DATABASE ${quoteIdent(database)} IS ${record === undefined ? 'NULL' : text}`
}
