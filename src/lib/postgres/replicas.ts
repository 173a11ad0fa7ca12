import type { Database } from './access.js'

/** How far a server that repeats this one's writes is behind. */
export interface Replica {
  name: string
  /** Null where this user may not see it. */
  bytes: number | null
  /** Seconds; null where this user may not see it, and where nothing was written for a while. */
  seconds: number | null
}

const REPLICAS = `SELECT coalesce(nullif(application_name, ''), client_addr::text, 'a replica') AS name,
  pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float8 AS bytes, extract(epoch FROM replay_lag)::float8 AS seconds
FROM pg_stat_replication ORDER BY 1, pid`

/** Returns the replicas that are connected to the server; none on a server that is a replica itself. */
export async function replicasOf(database: Database): Promise<Replica[]> {
  const [self] = await database.query<{ follows: boolean }>('SELECT pg_is_in_recovery() AS follows')
  return self?.follows === true ? [] : database.query<Replica>(REPLICAS)
}
