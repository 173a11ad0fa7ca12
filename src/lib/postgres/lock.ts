import type { PostgresConnector } from '../backends/backend.js'
import { OperatorError } from '../errors.js'
import { READ_RECORD, type RunRecord, recordIn, recordStatement } from './record.js'
import { closeSession, openSession, type Session } from './session.js'

/** The first half of every lock's key, so that it never meets the advisory locks of Rails' own migrations. */
const LOCK_CLASS = 0x6d_73_6f_70

/** Who holds the lock. */
export interface LockHolder {
  /** As its holder named itself: `mstdn-ops <run id> <user>@<host>`. */
  applicationName: string
  /** The address that it connected from; undefined over a unix socket. */
  client: string | undefined
  since: Date | undefined
}

/** A session that holds the lock for as long as it lives. */
export interface LockSession {
  /** The database that the session is connected to. */
  readonly database: string
  /** Whether the session still holds it: false when the connection was lost. */
  held(): Promise<boolean>
  /** Returns the run that has emptied this database and has not ended, where there is one. */
  record(): Promise<RunRecord | undefined>
  /** Takes that record away. */
  forget(): Promise<void>
  /** Gives the lock back. */
  close(): Promise<void>
}

export type LockAttempt =
  | { held: true; session: LockSession }
  | { held: false; database: string; holder: LockHolder | undefined }

export interface LockOptions {
  /** The instance's own database, which the lock must not be held in; as the connector says where absent. */
  database?: string
  /** What is locked. Equal texts are one lock on this server. */
  key: string
  /** `mstdn-ops <run id> <user>@<host>`: 63 characters count. */
  applicationName: string
}

/**
 * Tries to take a session advisory lock in a maintenance database: `postgres`, else `template1`. A session inside the
 * instance's own database would be in the way of renaming it, so that comes last: where the user is let into no other
 * (Heroku's small plans), nothing can be renamed either.
 *
 * Returns undefined where no lock can be held so: a pooler stands between.
 *
 * @throws RefusedError when the server cannot be reached at all.
 */
export async function openLockSession(
  connector: PostgresConnector,
  options: LockOptions,
): Promise<LockAttempt | undefined> {
  const own = options.database ?? (await connector.target()).database
  for (const database of [...['postgres', 'template1'].filter(name => name !== own), own]) {
    const session = await admitted(openSession(connector, { database, applicationName: options.applicationName }))
    if (session !== undefined) return lockIn(session, options.key)
  }
  return undefined
}

async function admitted(session: Promise<Session>): Promise<Session | undefined> {
  try {
    return await session
  } catch (error) {
    if (error instanceof OperatorError && error.code === 'postgres-not-admitted') return undefined
    throw error
  }
}

async function lockIn(session: Session, key: string): Promise<LockAttempt | undefined> {
  // Behind a pooler the session would end, or be another client's, with the next statement.
  if (session.pooled) {
    await closeSession(session)
    return undefined
  }
  if (session.version >= 140_000) await session.client.query('SET idle_session_timeout = 0')
  if (await tryAdvisoryLock(session, key)) return { held: true, session: lockSession(session, key) }
  const holder = await lockHolder(session, key)
  await closeSession(session)
  return { held: false, database: session.database, holder }
}

/** Returns whether the session holds the lock now. */
export async function tryAdvisoryLock(session: Session, key: string): Promise<boolean> {
  const { rows } = await session.client.query<{ locked: boolean }>(
    'SELECT pg_try_advisory_lock($1, hashtext($2)) AS locked',
    [LOCK_CLASS, key],
  )
  return rows[0]?.locked === true
}

/** In pg_locks: the two halves of the key as unsigned numbers, and objsubid 2 for a key of two halves. */
const HELD = `l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid = $1::int::oid AND l.objid = hashtext($2)::oid`

async function lockHolder(session: Session, key: string): Promise<LockHolder | undefined> {
  const { rows } = await session.client.query<{ name: string | null; client: string | null; since: Date | null }>(
    `SELECT a.application_name AS name, host(a.client_addr) AS client, a.backend_start AS since
     FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE ${HELD}`,
    [LOCK_CLASS, key],
  )
  const [row] = rows
  if (row === undefined) return undefined
  return { applicationName: row.name ?? '', client: row.client ?? undefined, since: row.since ?? undefined }
}

function lockSession(session: Session, key: string): LockSession {
  const held = async () => {
    const sql = `SELECT 1 FROM pg_locks l WHERE l.pid = pg_backend_pid() AND ${HELD}`
    const { rowCount } = await session.client.query(sql, [LOCK_CLASS, key])
    return rowCount === 1
  }
  return {
    database: session.database,
    held: () => held().catch(() => false),
    forget: async () => void (await session.client.query(recordStatement(session.database, undefined))),
    record: async () => recordIn((await session.client.query<{ text: string | null }>(READ_RECORD)).rows[0]?.text),
    close: () => closeSession(session),
  }
}
