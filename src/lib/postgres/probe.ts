import type { Database } from './access.js'

/** What the server and this user can do: looked up on the connection, never assumed from where it runs. */
export interface ServerProbe {
  /** Like 150018. */
  version: number
  /** Like `15.18`. */
  versionText: string
  /** A pooler stands between us and the server: no session locks, no settings, no renames through it. */
  pooler: boolean
  superuser: boolean
  canCreateDatabase: boolean
  ownsDatabase: boolean
  /** False on a standby, where sessions begin read-only, and where the right to insert was taken (a full plan). */
  writable: boolean
  encoding: string
  /** Connections of all databases that are taken, and how many there can be. */
  connections: { used: number; limit: number }
}

interface ProbeRow {
  version: string
  superuser: boolean
  createdb: boolean
  owner: boolean
  standby: boolean
  readonly: string
  inserts: boolean
  encoding: string
  used: number
  limit: string
}

/** Role membership counts as ownership, as it does for PostgreSQL itself. */
const PROBE = `SELECT current_setting('server_version') AS version,
  r.rolsuper AS superuser, r.rolsuper OR r.rolcreatedb AS createdb,
  pg_has_role(current_user, d.datdba, 'USAGE') AS owner, pg_is_in_recovery() AS standby,
  pg_encoding_to_char(d.encoding) AS encoding,
  coalesce((SELECT split_part(s, '=', 2) FROM pg_db_role_setting, unnest(setconfig) s
    WHERE setdatabase IN (0, d.oid) AND setrole IN (0, r.oid) AND s LIKE 'default_transaction_read_only=%'
    ORDER BY setrole DESC, setdatabase DESC LIMIT 1), 'off') AS readonly,
  NOT EXISTS (SELECT FROM pg_class t WHERE t.relkind = 'r' AND t.relnamespace = to_regnamespace('public')
    AND t.relname = 'statuses' AND NOT has_table_privilege(t.oid, 'INSERT')) AS inserts,
  (SELECT count(*) FROM pg_stat_activity) AS used, current_setting('max_connections') AS limit
FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()`

/** Asks once what this server and user can do. */
export async function probe(db: Database): Promise<ServerProbe> {
  const [[row], version] = await Promise.all([db.query<ProbeRow>(PROBE), db.serverVersionNum()])
  if (row === undefined) throw new Error('pg_roles does not know the current user')
  return {
    version,
    versionText: row.version.split(' ')[0] ?? row.version,
    pooler: db.pooled,
    superuser: row.superuser,
    canCreateDatabase: row.createdb,
    ownsDatabase: row.owner,
    writable: row.inserts && !row.standby && !['on', 'true'].includes(row.readonly),
    encoding: row.encoding,
    connections: { used: Number(row.used), limit: Number(row.limit) },
  }
}
