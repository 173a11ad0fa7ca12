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

/**
 * Finds local users by name (case does not matter, `@` in front is allowed) or by e-mail address. Returns no row,
 * one, or, where two addresses differ only by case, more. A deleted user leaves an account without a user: no row.
 */
export function findUser(version: MastodonVersion, nameOrEmail: string): Statement {
  const wanted = nameOrEmail.replace(/^@/, '')
  const field = wanted.includes('@') ? 'u.email' : 'a.username'
  const approved = version.atLeast('2.8.0') ? 'u.approved' : 'true'
  const sql = `SELECT u.id::text AS id, a.id::text AS account_id, a.username, u.email,
  u.confirmed_at IS NOT NULL AS confirmed, ${approved} AS approved
FROM users u JOIN accounts a ON a.id = u.account_id
WHERE a.domain IS NULL AND lower(${field}) = lower($1)
ORDER BY u.id`
  return { sql, params: [wanted] }
}
