import { humanDuration } from '../text.js'
import type { Database } from './access.js'

/** A change of a table that waits until others let go of it. */
export interface LockWait {
  /** Undefined where it waits for every older transaction, as a concurrent build of an index does. */
  table: string | undefined
  holders: LockHolder[]
}

interface LockHolder {
  pid: number
  /** As it named itself; what another role's session does is hidden from a role without rights. */
  program: string | null
  state: string | null
  /** Since its transaction began. */
  seconds: number | null
}

/**
 * Only changes of tables ask for these modes; a visitor's request asks for a table's weaker ones, or for a row's. Holders
 * that wait themselves, in line before the change, are left out.
 */
const WAITS = `SELECT c.relname AS table, (
    SELECT json_agg(json_build_object('pid', h.pid, 'program', nullif(h.application_name, ''), 'state', h.state,
      'seconds', extract(epoch FROM clock_timestamp() - h.xact_start)::int) ORDER BY h.xact_start)
    FROM pg_stat_activity h WHERE h.pid = ANY (pg_blocking_pids(l.pid)) AND h.wait_event_type IS DISTINCT FROM 'Lock'
  ) AS holders
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid AND a.datname = current_database()
  LEFT JOIN pg_class c ON c.oid = l.relation AND l.database = a.datid
  WHERE NOT l.granted AND l.locktype IN ('relation', 'virtualxid')
    AND l.mode IN ('ShareLock', 'ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  ORDER BY a.query_start`

/** Returns the changes of tables that wait in this database, the oldest first. PostgreSQL 9.6 and newer. */
export async function lockWaits(database: Database): Promise<LockWait[]> {
  const rows = await database.query<{ table: string | null; holders: LockHolder[] | null }>(WAITS)
  return rows.map(({ table, holders }) => ({ table: table ?? undefined, holders: holders ?? [] }))
}

/** Returns what it waits for and what ends it, for people; no text of a statement, which may hold what people wrote. */
export function lockWaitText({ table, holders }: LockWait): string {
  const what = table === undefined ? 'It waits for older transactions' : `It waits for a lock on ${table}`
  const [first] = holders
  if (first === undefined) return `${what}.`
  const held = holders.map(holderText).join(', ')
  return `${what}, held by ${held}. It goes on when that ends; to end it: SELECT pg_terminate_backend(${first.pid})`
}

function holderText({ pid, program, state, seconds }: LockHolder): string {
  const lasting = seconds === null ? [] : [`for ${humanDuration(Math.max(seconds, 1))}`]
  const about = [program ?? 'unnamed', [state ?? 'its state is hidden', ...lasting].join(' ')]
  return `process ${pid} (${about.join(', ')})`
}
