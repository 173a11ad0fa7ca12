import type { Statement } from './statement.js'
import type { MastodonVersion } from './version.js'

/** The flag of `user_roles.permissions` that allows everything. Source: app/models/user_role.rb @v4.0.0. */
const ADMINISTRATOR = 1

/** Whether roles are rows of `user_roles`. Up to 4.2 users.admin still stands there and is ignored. */
export function hasRoleTable(version: MastodonVersion): boolean {
  return version.atLeast('4.0.0')
}

/** The row of `listRoles`: the highest position first. */
export interface RoleRow {
  id: string
  name: string
  position: number
  administrator: boolean
}

const ROLE_COLUMNS = `id::text AS id, name, position, (permissions & ${ADMINISTRATOR}) = ${ADMINISTRATOR} AS administrator`

/** Lists the roles that somebody can be given, the highest first. From 4.0.0 on. The base role, id -99, is left out. */
export const LIST_ROLES: Statement = {
  sql: `SELECT ${ROLE_COLUMNS} FROM user_roles WHERE id <> -99 ORDER BY position DESC, id`,
  params: [],
}

/** Finds the role to make somebody an administrator with, whatever it is called: the highest that allows everything. */
export const FIND_ADMINISTRATOR_ROLE: Statement = {
  sql: `SELECT ${ROLE_COLUMNS} FROM user_roles
WHERE id <> -99 AND (permissions & ${ADMINISTRATOR}) = ${ADMINISTRATOR} ORDER BY position DESC, id LIMIT 1`,
  params: [],
}

/** The row of `readRole`. */
export interface StaffRow {
  administrator: boolean
  moderator: boolean
  /** The name and position of the role from 4.0.0 on; null for somebody without one, and before. */
  role: string | null
  position: number | null
}

const BY_ROLE = `SELECT COALESCE((r.permissions & ${ADMINISTRATOR}) = ${ADMINISTRATOR}, false) AS administrator,
  r.id IS NOT NULL AS moderator, r.name AS role, r.position AS position
FROM users u LEFT JOIN user_roles r ON r.id = u.role_id WHERE u.id = $1`

const byColumns = (moderator: string) => `SELECT COALESCE(u.admin, false) AS administrator, ${moderator} AS moderator,
  NULL::text AS role, NULL::int AS position
FROM users u WHERE u.id = $1`

/** users.moderator came with 2.1.0. */
const columnsFor = (version: MastodonVersion) =>
  byColumns(version.atLeast('2.1.0') ? 'COALESCE(u.moderator, false)' : 'false')

/**
 * Reads whether the user with the id is an administrator: one StaffRow, or none for an unknown id. From 4.0.0 on
 * `moderator` says that there is a role, which may be one with few rights; before, an administrator need not be one.
 */
export function readRole(version: MastodonVersion, userId: string): Statement {
  return { sql: hasRoleTable(version) ? BY_ROLE : columnsFor(version), params: [userId] }
}

/**
 * Counts the people who may do everything and can sign in: one row of {count}. users.approved came with 2.8.0.
 */
export function countAdministrators(version: MastodonVersion): Statement {
  const approved = version.atLeast('2.8.0') ? ' AND u.approved' : ''
  const [roles, may] = hasRoleTable(version)
    ? [' JOIN user_roles r ON r.id = u.role_id', `(r.permissions & ${ADMINISTRATOR}) = ${ADMINISTRATOR}`]
    : ['', 'u.admin']
  return {
    sql: `SELECT count(*) AS count FROM users u JOIN accounts a ON a.id = u.account_id${roles}
WHERE a.domain IS NULL AND u.confirmed_at IS NOT NULL AND ${may}${approved}`,
    params: [],
  }
}

/** The columns of `users` in which a release keeps somebody's role, as a SELECT list. */
export function roleColumns(version: MastodonVersion): string {
  if (hasRoleTable(version)) return 'role_id::text AS role_id'
  return version.atLeast('2.1.0') ? 'admin, moderator' : 'admin'
}
