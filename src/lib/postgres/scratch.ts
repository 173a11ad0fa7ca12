import { createHash } from 'node:crypto'
import type { DatabaseTraits } from '../backups/manifest.js'
import { lacks } from '../open-toolbox.js'
import type { Toolbox } from '../toolbox.js'
import { type Database, openDatabase } from './access.js'
import { sqlState } from './problems.js'
import { quoteIdent, quoteLiteral } from './quote.js'

/** What databases that only prove a backup are called; a run that died left what is still there. */
const DRILL = 'mstdn_ops_drill_'

/** Returns the name of the database of a drill, by the run's id. */
export async function drillName(toolbox: Toolbox, runId: string): Promise<string> {
  return `${await drillPrefix(toolbox)}${runId.replaceAll(/[^0-9a-z]/g, '_')}`
}

/** Several instances may share a server: the names of their drills differ by the database that the instance has. */
export async function drillPrefix({ backend }: Toolbox): Promise<string> {
  const own = (await backend.postgres?.target())?.database ?? ''
  return `${DRILL}${createHash('sha256').update(own).digest('hex').slice(0, 8)}_`
}

/**
 * Works in a database of the same server that is not the instance's: `postgres`, which may be the instance's own, else
 * `template1`.
 */
export async function withMaintenance<T>(
  toolbox: Toolbox,
  purpose: string,
  work: (maintenance: Database) => Promise<T>,
): Promise<T> {
  const maintenance = await openMaintenance(toolbox, purpose)
  try {
    return await work(maintenance)
  } finally {
    await maintenance.close()
  }
}

async function openMaintenance({ backend, ledger, dryRun }: Toolbox, purpose: string): Promise<Database> {
  const connector = backend.postgres
  if (connector === undefined) throw lacks(backend, 'postgres', 'PostgreSQL')
  const own = (await connector.target()).database
  const open = (database: string) => openDatabase(connector, { ledger, dryRun, database, purpose })
  if (own === 'postgres') return open('template1')
  return open('postgres').catch(() => open('template1'))
}

/** Whether this user may make a second database: asked on the connection, for where it runs tells nothing. */
export async function mayCreateDatabases(database: Database): Promise<boolean> {
  const [role] = await database.query<{ may: boolean }>(
    'SELECT rolsuper OR rolcreatedb AS may FROM pg_roles WHERE rolname = current_user',
  )
  return role?.may === true
}

/**
 * Drops the databases that killed drills and rehearsals of the instance left, and ends the migrations that may still run in
 * them. The lock tells that none is under way.
 */
export async function dropDrills(toolbox: Toolbox, maintenance: Database): Promise<string[]> {
  await toolbox.backend.apart?.close()
  const rows = await maintenance.query<{ name: string }>(
    'SELECT datname AS name FROM pg_database WHERE left(datname, length($1::text)) = $1::text',
    [await drillPrefix(toolbox)],
  )
  for (const { name } of rows) await dropDatabase(maintenance, name)
  return rows.map(({ name }) => name)
}

/** Drops a database with whoever is still connected to it; does nothing when there is none. */
export async function dropDatabase(maintenance: Database, name: string): Promise<void> {
  await endSessions(maintenance, name)
  await maintenance.write(`DROP DATABASE IF EXISTS ${quoteIdent(name)}`)
}

/**
 * Ends every session of a database that this user may end, in no dry run. Of one that it may not (autovacuum has no user
 * at all) the question alone would fail; a drop or a renaming ends autovacuum by itself. `DROP … WITH (FORCE)` is there
 * from 13 on only.
 */
export async function endSessions(maintenance: Database, name: string): Promise<void> {
  if (maintenance.dryRun) return
  await maintenance.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = $1 AND pid <> pg_backend_pid() AND usesysid IS NOT NULL AND pg_has_role(usesysid, 'USAGE')`,
    [name],
  )
}

/**
 * Makes an empty database with these traits: owner, encoding, locale, settings, grants; and what else is to be said.
 * Returns the settings that this user may not give it.
 */
export async function createLike(
  maintenance: Database,
  name: string,
  traits: DatabaseTraits,
  more: readonly string[] = [],
): Promise<string[]> {
  const clauses = [...createClauses(traits, await maintenance.serverVersionNum()), ...more]
  await maintenance.write(`CREATE DATABASE ${quoteIdent(name)} ${clauses.join(' ')}`)
  const left: string[] = []
  for (const [setting, value] of Object.entries(traits.settings)) {
    const statement = settingStatement(name, setting, value)
    if (!(await isAllowed(maintenance.write(statement)))) left.push(setting)
  }
  if (traits.grants.length > 0) await grant(maintenance, name, traits)
  return left
}

const INSUFFICIENT_PRIVILEGE = '42501'

/** Waits for a statement; returns false where this user lacks the right. */
export async function isAllowed(statement: Promise<unknown>): Promise<boolean> {
  try {
    await statement
    return true
  } catch (error) {
    if (sqlState(error) === INSUFFICIENT_PRIVILEGE) return false
    throw error
  }
}

/** Returns the statements that give a database the settings of another. */
export function settingStatements(name: string, { settings }: Pick<DatabaseTraits, 'settings'>): string[] {
  return Object.entries(settings).map(([setting, value]) => settingStatement(name, setting, value))
}

function settingStatement(name: string, setting: string, value: string): string {
  return `ALTER DATABASE ${quoteIdent(name)} SET ${quoteIdent(setting)} TO ${settingText(setting, value)}`
}

function createClauses(traits: DatabaseTraits, version: number): string[] {
  const { owner, encoding, collate, ctype } = traits
  return [
    'TEMPLATE template0',
    `OWNER ${quoteIdent(owner)}`,
    `ENCODING ${quoteLiteral(encoding)}`,
    `LC_COLLATE ${quoteLiteral(collate)} LC_CTYPE ${quoteLiteral(ctype)}`,
    ...providerClauses(traits, version),
  ]
}

/** Named in any case: that of template0 may be another. `builtin` came with 17, the choice itself with 15. */
function providerClauses({ provider, icuLocale }: DatabaseTraits, version: number): string[] {
  if (version < 150_000) return []
  if (provider === 'libc') return ['LOCALE_PROVIDER libc']
  if (icuLocale === null || (provider === 'builtin' && version < 170_000)) return []
  return [`LOCALE_PROVIDER ${provider} ${provider === 'icu' ? 'ICU' : 'BUILTIN'}_LOCALE ${quoteLiteral(icuLocale)}`]
}

/** These hold lists, which are stored as they are written; all others are one text (pg_dump: variable_is_guc_list_quote). */
const LISTS = ['search_path', 'session_preload_libraries', 'local_preload_libraries', 'temp_tablespaces']

/** Returns the value of a setting as ALTER … SET takes it. */
export function settingText(setting: string, value: string): string {
  return LISTS.includes(setting.toLowerCase()) ? value : quoteLiteral(value)
}

/** What every database grants by itself is taken back first. */
async function grant(maintenance: Database, name: string, { grants, owner }: DatabaseTraits): Promise<void> {
  await maintenance.write(`REVOKE ALL ON DATABASE ${quoteIdent(name)} FROM PUBLIC`)
  for (const line of grants) {
    const at = line.lastIndexOf('=')
    const grantee = line.slice(0, at)
    if (grantee === owner) continue
    const role = grantee === 'PUBLIC' ? 'PUBLIC' : quoteIdent(grantee)
    await maintenance.write(`GRANT ${privilege(line.slice(at + 1))} ON DATABASE ${quoteIdent(name)} TO ${role}`)
  }
}

const PRIVILEGES = ['CREATE', 'CONNECT', 'TEMPORARY']

function privilege(text: string): string {
  if (PRIVILEGES.includes(text)) return text
  throw new Error(`${text} is no privilege of a database`)
}
