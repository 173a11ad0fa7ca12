import type { Database } from './access.js'

/** A session that holds an advisory lock by one number, as Rails' migrations do (from 5.0 on, thus all versions of Mastodon). */
export interface MigrationSession {
  pid: number
  /** As it named itself; what another role's session does is hidden from a role without rights. */
  program: string | null
}

const SESSIONS = `SELECT l.pid, nullif(a.application_name, '') AS program
  FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
  WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND l.pid <> pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** Returns the sessions that seem to migrate this database. PostgreSQL 9.6 and newer. */
export function migrationSessions(database: Database): Promise<MigrationSession[]> {
  return database.query<MigrationSession>(SESSIONS)
}
