import { hasRoleTable } from './roles.js'
import type { Statement } from './statement.js'
import { twoFactorShape } from './two-factor.js'
import { approvedColumn } from './users.js'
import type { MastodonVersion } from './version.js'

/** The row of `listPeople`. */
export interface PersonRow {
  username: string
  /** The role's own name from 4.0.0 on; before, `admin` or `moderator`. */
  role: string | null
  /** When they were last there, as Mastodon notes it at most once a day. */
  last_sign_in: Date | null
  /** Whether a sign-in asks for a second factor. */
  two_factor: boolean
  confirmed: boolean
  approved: boolean
  limited: boolean
  suspended: boolean
}

/** Which people: all, those with a role, or those whose sign-up waits for approval. */
export type Circle = 'all' | 'staff' | 'waiting'

/** Flags up to 2.8, times from 2.9.0 on (20190511134027, 20190511152737). */
export function isSuspended(version: MastodonVersion, account = 'a'): string {
  return version.atLeast('2.9.0') ? `${account}.suspended_at IS NOT NULL` : `${account}.suspended`
}

/** See {@link isSuspended}. Mastodon's word is "silenced"; its pages say "limited". */
export function isLimited(version: MastodonVersion, account = 'a'): string {
  return version.atLeast('2.9.0') ? `${account}.silenced_at IS NOT NULL` : `${account}.silenced`
}

/** The name of the role of the user `u`, null for none. users.moderator came with 2.1.0. */
function roleName(version: MastodonVersion): string {
  if (hasRoleTable(version)) return '(SELECT r.name FROM user_roles r WHERE r.id = u.role_id AND r.id <> -99)'
  const moderator = version.atLeast('2.1.0') ? " WHEN u.moderator THEN 'moderator'" : ''
  return `CASE WHEN u.admin THEN 'admin'${moderator} END`
}

function secondFactor(version: MastodonVersion): string {
  const flag = 'COALESCE(u.otp_required_for_login, false)'
  if (!twoFactorShape(version).securityKeys) return flag
  return `(${flag} OR EXISTS (SELECT FROM webauthn_credentials w WHERE w.user_id = u.id))`
}

/** Lists local people, at most `limit`, those with the latest sign-in first: rows of {@link PersonRow}. */
export function listPeople(version: MastodonVersion, circle: Circle, limit: number): Statement {
  const approved = approvedColumn(version)
  const where = { all: 'true', staff: 'p.role IS NOT NULL', waiting: 'NOT p.approved' }[circle]
  const sql = `SELECT * FROM (SELECT a.username, ${roleName(version)} AS role, u.current_sign_in_at AS last_sign_in,
  ${secondFactor(version)} AS two_factor, u.confirmed_at IS NOT NULL AS confirmed, ${approved} AS approved,
  ${isLimited(version)} AS limited, ${isSuspended(version)} AS suspended
FROM users u JOIN accounts a ON a.id = u.account_id WHERE a.domain IS NULL) p
WHERE ${where} ORDER BY p.last_sign_in DESC NULLS LAST, p.username LIMIT $1`
  return { sql, params: [limit] }
}

/** The row of `countPeople`. */
export interface PeopleRow {
  people: number
  /** Whose profile single-user mode shows: the oldest account that is not suspended. */
  first: string | null
}

/**
 * Counts the people here and finds the one whom single-user mode shows. The server's own account has the id -99.
 * Source: app/controllers/home_controller.rb @v3.5.0.
 */
export function countPeople(version: MastodonVersion): Statement {
  const sql = `SELECT (SELECT count(*)::int FROM users) AS people, (SELECT a.username FROM accounts a
  WHERE a.domain IS NULL AND a.id > 0 AND NOT (${isSuspended(version)}) ORDER BY a.id LIMIT 1) AS first`
  return { sql, params: [] }
}
