import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../errors.js'
import type { Database } from './access.js'

/** Milliseconds between two looks. */
const PAUSE_MS = 150
/** What every statement that reads or writes rows takes, and nobody waits for. */
const ORDINARY = ['AccessShareLock', 'RowShareLock', 'RowExclusiveLock']

/** A kind of lock on one table, and for how long a transaction held it. */
export interface LockSeen {
  table: string
  /** As PostgreSQL calls it, like `AccessExclusiveLock`. */
  mode: string
  /** Seconds, as far as looking every 150 ms tells: between the first and the last look that saw it. */
  seconds: number
  /** The migration that was under way, where one was. */
  migration: string | null
}

/** A table that was written anew as a whole. */
export interface Rewrite {
  table: string
  /** On disk in the end, with its indexes. */
  bytes: number
  migration: string | null
}

export interface MigrationWatch {
  /** Looks once more, and returns what was seen of tables that were there before. */
  stop(): Promise<{ locks: LockSeen[]; rewrites: Rewrite[]; problem: string | null }>
}

interface Held {
  table: string
  mode: string
  since: number
  last: number
  migration: string | null
}

interface Table {
  oid: string
  name: string
  node: string
}

/**
 * Looks at the locks of the database that the session is in, again and again, and at which tables get another file.
 *
 * @param current the name of the migration that is under way
 */
export async function watchMigrations(database: Database, current: () => string | null): Promise<MigrationWatch> {
  const before = new Map((await tablesOf(database)).map(table => [table.oid, table]))
  const held = new Map<string, Held>()
  const rewrites = new Map<string, Rewrite>()
  const over = new AbortController()
  let problem: string | null = null
  let last = current()
  const look = async () => {
    await lookAtLocks(database, { before, held, current })
    const now = current()
    if (now === last) return
    await lookAtFiles(database, { before, rewrites, migration: last })
    last = now
  }
  const looking = (async () => {
    while (!over.signal.aborted) {
      await look().catch((error: unknown) => {
        problem ??= messageOf(error)
      })
      await sleep(PAUSE_MS, undefined, { signal: over.signal }).catch(() => undefined)
    }
  })()
  const stop = async () => {
    over.abort()
    await looking
    const sum = async () => {
      await lookAtFiles(database, { before, rewrites, migration: last })
      await lookAtSizes(database, rewrites)
    }
    await sum().catch((error: unknown) => {
      problem ??= messageOf(error)
    })
    return { locks: longest([...held.values()]), rewrites: [...rewrites.values()], problem }
  }
  return { stop }
}

/** Not those of autovacuum, which has no user: it lets go where somebody waits. */
async function lookAtLocks(
  database: Database,
  seen: { before: ReadonlyMap<string, Table>; held: Map<string, Held>; current: () => string | null },
): Promise<void> {
  const rows = await database.query<{ owner: string; oid: string; mode: string }>(
    `SELECT l.virtualtransaction AS owner, l.relation::text AS oid, l.mode
     FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid AND a.usesysid IS NOT NULL
     WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid() AND l.mode <> ALL ($1)
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [ORDINARY],
  )
  // Asked afterwards: what is printed comes later than the lock.
  const [now, migration] = [Date.now(), seen.current()]
  const { before, held } = seen
  for (const { owner, oid, mode } of rows) {
    const table = before.get(oid)
    if (table === undefined) continue
    const key = `${owner} ${oid} ${mode}`
    const known = held.get(key)
    if (known === undefined) held.set(key, { table: table.name, mode, since: now, last: now, migration })
    else Object.assign(known, { last: now, migration: migration ?? known.migration })
  }
}

/** A rewrite, and nothing else that migrations do but TRUNCATE, gives a table another file. */
async function lookAtFiles(
  database: Database,
  seen: { before: Map<string, Table>; rewrites: Map<string, Rewrite>; migration: string | null },
): Promise<void> {
  for (const table of await tablesOf(database)) {
    const known = seen.before.get(table.oid)
    if (known === undefined || known.node === table.node) continue
    seen.before.set(table.oid, table)
    seen.rewrites.set(table.oid, { table: table.name, bytes: 0, migration: seen.migration })
  }
}

/** Not while a migration runs: measuring a table waits for whoever has locked it. */
async function lookAtSizes(database: Database, rewrites: ReadonlyMap<string, Rewrite>): Promise<void> {
  const rows = await database.query<{ oid: string; bytes: number }>(
    'SELECT c.oid::text AS oid, pg_total_relation_size(c.oid) AS bytes FROM pg_class c WHERE c.oid::text = ANY ($1)',
    [[...rewrites.keys()]],
  )
  for (const { oid, bytes } of rows) {
    const rewrite = rewrites.get(oid)
    if (rewrite) rewrite.bytes = bytes
  }
}

function tablesOf(database: Database): Promise<Table[]> {
  return database.query<Table>(
    `SELECT c.oid::text AS oid, c.relname::text AS name, c.relfilenode::text AS node
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`,
  )
}

/** Each table once for each kind of lock, as long as the longest of them; the longest first. */
function longest(held: readonly Held[]): LockSeen[] {
  const found = new Map<string, LockSeen>()
  for (const { table, mode, since, last, migration } of held) {
    const seconds = (last - since) / 1_000
    const known = found.get(`${table} ${mode}`)
    if (known === undefined || known.seconds < seconds)
      found.set(`${table} ${mode}`, { table, mode, seconds, migration })
  }
  return [...found.values()].sort((a, b) => b.seconds - a.seconds || a.table.localeCompare(b.table))
}
