import type { Database } from './access.js'
import { quoteIdent } from './quote.js'
import { isAllowed, settingText } from './scratch.js'

/** What a database has on its server besides its traits: another one that takes its place there needs it too. */
export interface Standing {
  tablespace: string
  /** Whether this user may make a database there. */
  mayUseTablespace: boolean
  /** -1 where there is none. */
  connectionLimit: number
  /** `ALTER ROLE … IN DATABASE … SET`. */
  roleSettings: { role: string; name: string; value: string }[]
}

/** Returns the standing of the database that the session is in. */
export async function standingOf(database: Database): Promise<Standing> {
  const [row] = await database.query<{ tablespace: string; may: boolean; limit: number }>(
    `SELECT t.spcname::text AS tablespace, d.datconnlimit AS limit,
       has_tablespace_privilege(t.oid, 'CREATE') AS may
     FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = current_database()`,
  )
  const lines = await database.query<{ role: string; line: string }>(
    `SELECT pg_get_userbyid(r.setrole)::text AS role, s.line FROM pg_db_role_setting r, unnest(r.setconfig) AS s (line)
     WHERE r.setrole <> 0 AND r.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
     ORDER BY 1, 2`,
  )
  const roleSettings = lines.map(({ role, line }) => {
    const at = line.indexOf('=')
    return { role, name: line.slice(0, at), value: line.slice(at + 1) }
  })
  const { tablespace = 'pg_default', may = true, limit = -1 } = row ?? {}
  const mayUseTablespace = tablespace === 'pg_default' || may
  return { tablespace, mayUseTablespace, connectionLimit: limit, roleSettings }
}

/** Returns the clauses of CREATE DATABASE that give it. */
export function standingClauses({ tablespace, mayUseTablespace, connectionLimit }: Standing): string[] {
  return [
    ...(tablespace === 'pg_default' || !mayUseTablespace ? [] : [`TABLESPACE ${quoteIdent(tablespace)}`]),
    ...(connectionLimit === -1 ? [] : [`CONNECTION LIMIT ${connectionLimit}`]),
  ]
}

/** Sets what roles have in the database; returns in words what this user may not set for others. */
export async function setForRoles(maintenance: Database, name: string, standing: Standing): Promise<string[]> {
  const left = standing.mayUseTablespace ? [] : [`the tablespace ${standing.tablespace}`]
  for (const { role, name: setting, value } of standing.roleSettings) {
    const change = `SET ${quoteIdent(setting)} TO ${settingText(setting, value)}`
    const statement = maintenance.write(`ALTER ROLE ${quoteIdent(role)} IN DATABASE ${quoteIdent(name)} ${change}`)
    if (!(await isAllowed(statement))) left.push(`${setting} for ${role}`)
  }
  return left
}
