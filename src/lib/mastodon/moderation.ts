import { isLimited, isSuspended } from './people.js'
import type { Statement } from './statement.js'
import type { MastodonVersion } from './version.js'

/** The row of `findAccount`: one account, of this server or another. */
export interface AccountRow {
  id: string
  username: string
  /** Null for an account of this server. */
  domain: string | null
  /** Null where it has no user: of another server, or deleted. */
  user_id: string | null
  suspended: boolean
  /** When that was done; null before 2.9.0, which does not note it. */
  suspended_at: Date | null
  limited: boolean
}

/** Finds an account by its name and, where it is of another server, its domain. The server's own account is left out. */
export function findAccount(version: MastodonVersion, username: string, domain: string | null): Statement {
  const at = version.atLeast('2.9.0') ? 'a.suspended_at' : 'NULL::timestamp'
  const sql = `SELECT a.id::text AS id, a.username, a.domain, u.id::text AS user_id,
  ${isSuspended(version)} AS suspended, ${at} AS suspended_at, ${isLimited(version)} AS limited
FROM accounts a LEFT JOIN users u ON u.account_id = a.id
WHERE a.id > 0 AND lower(a.username) = lower($1) AND lower(a.domain) IS NOT DISTINCT FROM lower($2::text)
ORDER BY a.id`
  return { sql, params: [username, domain] }
}

/** The row of `countTies`. */
export interface TiesRow {
  posts: number
  /** Whom the account follows: here, and on other servers. */
  following_here: number
  following_elsewhere: number
  /** Who follows the account. */
  followers_here: number
  followers_elsewhere: number
}

/** Counts what hangs on the account with the id: posts that this server has of it, and follows in both directions. */
export function countTies(accountId: string): Statement {
  const count = (mine: string, other: string, where: string) => `(SELECT count(*)::int FROM follows f
  JOIN accounts o ON o.id = f.${other} WHERE f.${mine} = $1 AND o.domain ${where})`
  const sql = `SELECT (SELECT count(*)::int FROM statuses WHERE account_id = $1) AS posts,
${count('account_id', 'target_account_id', 'IS NULL')} AS following_here,
${count('account_id', 'target_account_id', 'IS NOT NULL')} AS following_elsewhere,
${count('target_account_id', 'account_id', 'IS NULL')} AS followers_here,
${count('target_account_id', 'account_id', 'IS NOT NULL')} AS followers_elsewhere`
  return { sql, params: [accountId] }
}

/**
 * Days that a suspended account's data is kept: from 3.3.0 on (app/models/account_deletion_request.rb). Undefined
 * before, when a suspension deleted it at once.
 */
export function daysKept(version: MastodonVersion): number | undefined {
  return version.atLeast('3.3.0') ? 30 : undefined
}
