import type { Statement } from './statement.js'
import type { MastodonVersion } from './version.js'

/** The row of `findUser`. Ids are texts: they may be larger than a JavaScript number holds. */
export interface UserRow {
  id: string
  account_id: string
  username: string
  email: string
  confirmed: boolean
  /** Always true before 2.8.0, which knows no approval. */
  approved: boolean
}

/** Whether the sign-up of the user `u` is approved, as SQL: users.approved came with 2.8.0. */
export function approvedColumn(version: MastodonVersion): string {
  return version.atLeast('2.8.0') ? 'u.approved' : 'true'
}

/**
 * Finds local users by name (case does not matter, `@` in front is allowed) or by e-mail address. Returns no row,
 * one, or, where two addresses differ only by case, more. A deleted user leaves an account without a user: no row.
 */
export function findUser(version: MastodonVersion, nameOrEmail: string): Statement {
  const wanted = nameOrEmail.replace(/^@/, '')
  const field = wanted.includes('@') ? 'u.email' : 'a.username'
  const approved = approvedColumn(version)
  const sql = `SELECT u.id::text AS id, a.id::text AS account_id, a.username, u.email,
  u.confirmed_at IS NOT NULL AS confirmed, ${approved} AS approved
FROM users u JOIN accounts a ON a.id = u.account_id
WHERE a.domain IS NULL AND lower(${field}) = lower($1)
ORDER BY u.id`
  return { sql, params: [wanted] }
}

/** The row of `findTaken`: an account of this instance that has the name or the address. */
export interface TakenRow {
  username: string
  /** Null where the account has no user any more: it was deleted, and its name is kept. */
  user_id: string | null
  email: string | null
  /** Whether the account says that a program posts by it. */
  bot: boolean
}

/** Whether an account can say that a program posts by it: accounts.actor_type came with 2.4.0 (20180410204633). */
export function knowsBots(version: MastodonVersion): boolean {
  return version.atLeast('2.4.0')
}

/** Source: Account#bot? in app/models/account.rb @v2.4.0, @v4.3.0. */
const isBot = (version: MastodonVersion) =>
  knowsBots(version) ? "COALESCE(a.actor_type IN ('Application', 'Service'), false)" : 'false'

/** Finds the accounts of this instance that have the name or the address, whatever the case. */
export function findTaken(version: MastodonVersion, username: string, email: string): Statement {
  const sql = `SELECT a.username, u.id::text AS user_id, u.email, ${isBot(version)} AS bot
FROM accounts a LEFT JOIN users u ON u.account_id = a.id
WHERE a.domain IS NULL AND (lower(a.username) = lower($1) OR lower(u.email) = lower($2))
ORDER BY a.id`
  return { sql, params: [username, email] }
}

/** Says of a local account that a program posts by it, as its owner does in the profile's settings. From 2.4.0 on. */
export function makeBot(username: string): Statement {
  const sql = "UPDATE accounts SET actor_type = 'Service' WHERE domain IS NULL AND lower(username) = lower($1)"
  return { sql, params: [username] }
}
