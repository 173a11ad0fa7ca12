import { setTimeout as sleep } from 'node:timers/promises'
import { type OperatorError, RefusedError } from '../errors.js'
import { printableLine } from '../text.js'
import type { Database } from './access.js'
import { labelKept, unlabel } from './kept.js'
import { sqlState } from './problems.js'
import { quoteIdent } from './quote.js'

/** The names that a swap gives: the live database is kept under another one, and the fresh one becomes the live one. */
export interface SwapNames {
  live: string
  fresh: string
  kept: string
}

/** Somebody is connected to the database. */
const IN_USE = '55006'
const PATIENCE_MS = 20_000

/**
 * Renames both databases in one transaction, and labels the one that is kept: at no moment is there none of the live name
 * to be seen, and a kill leaves both as they were or both renamed. Needs a session in a third database, and nobody in
 * these two.
 *
 * A health check connects for a moment now and then, so it is tried for some seconds.
 *
 * @param keepUntil ISO 8601; null: until the operator says so
 * @throws RefusedError naming who is connected.
 */
export async function swapDatabases(maintenance: Database, names: SwapNames, keepUntil: string | null): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    try {
      return await renameBoth(maintenance, names, keepUntil)
    } catch (error) {
      if (sqlState(error) !== IN_USE) throw error
      if (Date.now() > deadline) throw inUse(names.live, await clientsOf(maintenance, [names.live, names.fresh]))
      await sleep(500)
    }
  }
}

function renameBoth(maintenance: Database, { live, fresh, kept }: SwapNames, until: string | null): Promise<void> {
  return maintenance.transaction(async () => {
    await maintenance.write(`ALTER DATABASE ${quoteIdent(live)} RENAME TO ${quoteIdent(kept)}`)
    await maintenance.write(`ALTER DATABASE ${quoteIdent(fresh)} RENAME TO ${quoteIdent(live)}`)
    // Without its label another instance on this server would take it for its own.
    await labelKept(maintenance, kept, live, until)
    await unlabel(maintenance, live)
  })
}

/** Renames a database that nobody is connected to; its label goes with it. */
export async function renameDatabase(maintenance: Database, name: string, to: string): Promise<void> {
  await maintenance.write(`ALTER DATABASE ${quoteIdent(name)} RENAME TO ${quoteIdent(to)}`)
}

/** Returns what tells a database from every other of the server, whatever it is called; undefined where there is none. */
export async function identityOf(maintenance: Database, name: string): Promise<string | undefined> {
  const [row] = await maintenance.query<{ oid: string }>(
    'SELECT oid::text AS oid FROM pg_database WHERE datname = $1',
    [name],
  )
  return row?.oid
}

/** Somebody who is connected. */
export interface ConnectedClient {
  application: string
  address: string
  user: string
}

/**
 * Returns who is connected to these databases, without the sessions of this tool's own run. Of other users' sessions the
 * server hides the kind from who is no superuser, and 9.6 has none: those of superusers are its keepers' then.
 */
export async function clientsOf(maintenance: Database, databases: readonly string[]): Promise<ConnectedClient[]> {
  return maintenance.query<ConnectedClient>(
    `SELECT DISTINCT application_name AS application, coalesce(host(client_addr), 'a local socket') AS address,
       usename::text AS user FROM pg_stat_activity, to_jsonb(pg_stat_activity) AS told
     WHERE datname = ANY($1) AND pid <> pg_backend_pid() AND CASE WHEN told ->> 'backend_type' IS NULL
         THEN usename NOT IN (SELECT rolname FROM pg_roles WHERE rolsuper)
         ELSE told ->> 'backend_type' = 'client backend' END
       AND application_name NOT LIKE 'mstdn-ops%' ORDER BY 1, 2`,
    [databases],
  )
}

/** Returns the refusal that names everybody who is still connected. */
export function inUse(database: string, clients: readonly ConnectedClient[]): OperatorError {
  const who = clients.map(({ application, address, user }) => {
    const name = application === '' ? 'a nameless program' : printableLine(application)
    return `${name} as ${printableLine(user)} from ${address}`
  })
  return new RefusedError({
    code: 'database-in-use',
    message: `Somebody is still connected to the database ${database}.`,
    cause: who.length > 0 ? `${who.join('; ')}.` : 'They came and went while it was looked.',
    next: 'Stop them (they are none of the services that can be stopped from here), then run the command again.',
  })
}
