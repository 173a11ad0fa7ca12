import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import type { Toolbox } from '../toolbox.js'
import type { Database } from './access.js'
import { sqlState } from './problems.js'
import { quoteIdent, quoteLiteral } from './quote.js'
import { drillPrefix, isAllowed, settingText } from './scratch.js'

/** How many times a password is hashed (PostgreSQL's own default, scram-common.h, 10 and later). */
const ROUNDS = 4_096

/** Whether this user may make a role, and a database that the role owns. */
export async function mayCreateRoles(database: Database): Promise<boolean> {
  const [role] = await database.query<{ may: boolean }>(
    'SELECT rolsuper OR (rolcreaterole AND rolcreatedb) AS may FROM pg_roles WHERE rolname = current_user',
  )
  return role?.may === true
}

/**
 * Makes a role that owns nothing and may log in for a day, and returns its password. The server is sent what the password
 * is tested with, so that no log of its holds the password itself.
 */
export async function createApartRole(maintenance: Database, name: string): Promise<string> {
  const password = randomBytes(24).toString('hex')
  const rights = 'LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION'
  const start = `CREATE ROLE ${quoteIdent(name)} ${rights} ${forADay()} PASSWORD`
  await maintenance.write(`${start} ${quoteLiteral(verifierOf(password))}`, [], { recordAs: `${start} '…'` })
  // Who is no superuser can only give a database to a role that it belongs to.
  if (!(await isSuperuser(maintenance))) await maintenance.write(`GRANT ${quoteIdent(name)} TO CURRENT_USER`)
  await noticeLostClients(maintenance, name)
  return password
}

/** From 14 on a server ends the statement of a client that has gone, where its platform can tell (22023 where not). */
async function noticeLostClients(maintenance: Database, name: string): Promise<void> {
  if ((await maintenance.serverVersionNum()) < 140_000) return
  const statement = `ALTER ROLE ${quoteIdent(name)} SET client_connection_check_interval TO '2s'`
  await maintenance.write(statement).catch(error => {
    if (sqlState(error) !== '22023') throw error
  })
}

/** Lets the role log in for another day: what was before may have taken most of the last one. */
export async function renewApartRole(maintenance: Database, name: string): Promise<void> {
  await maintenance.write(`ALTER ROLE ${quoteIdent(name)} ${forADay()}`)
}

function forADay(): string {
  return `VALID UNTIL ${quoteLiteral(new Date(Date.now() + 24 * 3_600_000).toISOString())}`
}

/** Of these the scratch role's own value counts, or none. */
const NOT_COPIED = ['role', 'session_authorization']

/**
 * Gives the role the settings that the live session's own role has in all databases and in that one, which win: timeouts
 * end a migration there as they would here. Returns the settings that the user of `maintenance` may not give it.
 */
export async function copyRoleSettings(live: Database, maintenance: Database, role: string): Promise<string[]> {
  const rows = await live.query<{ line: string }>(
    `SELECT s.line FROM pg_db_role_setting r LEFT JOIN pg_database d ON d.oid = r.setdatabase,
       unnest(r.setconfig) WITH ORDINALITY AS s (line, at)
     WHERE r.setrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
       AND (r.setdatabase = 0 OR d.datname = current_database()) ORDER BY r.setdatabase <> 0, s.at`,
  )
  const settings = new Map(
    rows.map(({ line }) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
  const left: string[] = []
  for (const [name, value] of settings) {
    if (NOT_COPIED.includes(name)) continue
    const statement = `ALTER ROLE ${quoteIdent(role)} SET ${quoteIdent(name)} TO ${settingText(name, value)}`
    if (!(await isAllowed(maintenance.write(statement)))) left.push(name)
  }
  return left
}

/** Drops the roles that rehearsals of the instance have left; their databases have to be gone. */
export async function dropApartRoles(toolbox: Toolbox, maintenance: Database): Promise<void> {
  const rows = await maintenance.query<{ name: string }>(
    'SELECT rolname AS name FROM pg_roles WHERE left(rolname, length($1::text)) = $1::text',
    [await drillPrefix(toolbox)],
  )
  for (const { name } of rows) await maintenance.write(`DROP ROLE IF EXISTS ${quoteIdent(name)}`)
}

/** What a role may do outside of its own database: by what everybody may, which is not ours to change. */
export interface Reach {
  /** The other databases that it may connect to. */
  databases: string[]
  /** What it may read or change in the database that the session is in. */
  tables: string[]
}

/** Returns what the role may reach, asked in the instance's own database. */
export async function reachOf(database: Database, role: string, own: string): Promise<Reach> {
  const databases = await database.query<{ name: string }>(
    `SELECT datname::text AS name FROM pg_database
     WHERE datallowconn AND datname <> $2 AND has_database_privilege($1, oid, 'CONNECT') ORDER BY 1`,
    [role, own],
  )
  const tables = await database.query<{ name: string }>(
    `SELECT c.relname::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
       AND has_table_privilege($1, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
       AND NOT EXISTS (SELECT FROM pg_depend d
         WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e') ORDER BY 1`,
    [role],
  )
  return { databases: databases.map(({ name }) => name), tables: tables.map(({ name }) => name) }
}

async function isSuperuser(database: Database): Promise<boolean> {
  const [role] = await database.query<{ yes: boolean }>(
    'SELECT rolsuper AS yes FROM pg_roles WHERE rolname = current_user',
  )
  return role?.yes === true
}

/** Returns what PostgreSQL keeps of a password (RFC 5803, as scram-common.c writes it, 10 and later). */
function verifierOf(password: string): string {
  const salt = randomBytes(16)
  const salted = pbkdf2Sync(password, salt, ROUNDS, 32, 'sha256')
  const keyed = (text: string) => createHmac('sha256', salted).update(text).digest()
  const stored = createHash('sha256').update(keyed('Client Key')).digest('base64')
  return `SCRAM-SHA-256$${ROUNDS}:${salt.toString('base64')}$${stored}:${keyed('Server Key').toString('base64')}`
}
