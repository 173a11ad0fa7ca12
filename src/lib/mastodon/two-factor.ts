import type { Statement } from './statement.js'
import { inRange, type MastodonVersion, type VersionRange } from './version.js'

/** Where a release keeps what two-factor authentication needs. */
export interface TwoFactorShape {
  /** The columns of `users` that hold a secret, or part of one. */
  secretColumns: readonly string[]
  /** Whether security keys are rows of `webauthn_credentials`. */
  securityKeys: boolean
  /** Whether a role can force its holders to set two-factor authentication up again. */
  forcedByRole: boolean
}

const LEGACY_SECRET = ['encrypted_otp_secret', 'encrypted_otp_secret_iv', 'encrypted_otp_secret_salt'] as const

/**
 * Source: db/schema.rb of each release. `otp_secret` came with 4.3.0 (20231210154528), the three older columns
 * went with a post-deployment migration of 4.4.0 (20250520192024).
 */
const COLUMNS: readonly (VersionRange & { columns: readonly string[] })[] = [
  { since: '1.3.0', before: '4.4.0', columns: LEGACY_SECRET },
  { since: '4.3.0', columns: ['otp_secret'] },
]

const columnsOf = (version: MastodonVersion) => COLUMNS.filter(row => inRange(version, row)).flatMap(row => row.columns)

/** Where the database of a release, fully migrated, keeps two-factor authentication. */
export function twoFactorShape(version: MastodonVersion): TwoFactorShape {
  return {
    secretColumns: columnsOf(version),
    securityKeys: version.atLeast('3.3.0'),
    forcedByRole: version.atLeast('4.6.0'),
  }
}

/**
 * The statements that turn two-factor authentication off altogether for the user with the id: secrets, backup
 * codes, the last code used, and security keys. To be run in one transaction. Each changes one `users` row or
 * deletes the keys. `tootctl accounts modify --disable-2fa` does less up to 4.3.
 */
export function disableTwoFactor(version: MastodonVersion, userId: string): readonly Statement[] {
  const { secretColumns, securityKeys } = twoFactorShape(version)
  const emptied = ['otp_backup_codes', ...secretColumns, 'consumed_timestep'].map(column => `${column} = NULL`)
  const update = `UPDATE users SET ${['otp_required_for_login = false', ...emptied].join(', ')} WHERE id = $1`
  const remove = 'DELETE FROM webauthn_credentials WHERE user_id = $1'
  return [update, ...(securityKeys ? [remove] : [])].map(sql => ({ sql, params: [userId] }))
}

/** The row of `readTwoFactor`. */
export interface TwoFactorRow {
  required: boolean
  backup_codes: number
  has_secret: boolean
  security_keys: number
  /** The user's role makes them set it up again at the next sign-in. */
  forced: boolean
}

/** Reads what is left of a user's two-factor authentication: one TwoFactorRow, or none for an unknown id. */
export function readTwoFactor(version: MastodonVersion, userId: string): Statement {
  const { secretColumns, securityKeys, forcedByRole } = twoFactorShape(version)
  const secret = secretColumns.map(column => `u.${column} IS NOT NULL`).join(' OR ')
  const keys = securityKeys ? '(SELECT count(*)::int FROM webauthn_credentials w WHERE w.user_id = u.id)' : '0'
  const sql = `SELECT COALESCE(u.otp_required_for_login, false) AS required,
  COALESCE(cardinality(u.otp_backup_codes), 0) AS backup_codes,
  (${secret}) AS has_secret, ${keys} AS security_keys, ${forcedByRole ? FORCED : 'false'} AS forced
FROM users u WHERE u.id = $1`
  return { sql, params: [userId] }
}

/** A user without a role of their own has the base role, whose id is -99. Source: app/models/user_role.rb @v4.0.0. */
const FORCED = 'COALESCE((SELECT r.require_2fa FROM user_roles r WHERE r.id = COALESCE(u.role_id, -99)), false)'

/** Whether nothing is left by which a sign-in would ask for a second factor. */
export function isTwoFactorOff(row: TwoFactorRow): boolean {
  return !row.required && row.backup_codes === 0 && !row.has_secret && row.security_keys === 0
}

/** Whether a sign-in still asks for a second factor: the flag, or any security key. Weaker than `!isTwoFactorOff`. */
export function isChallenged(row: TwoFactorRow): boolean {
  return row.required || row.security_keys > 0
}

/** Which of the columns in question a database has, for one whose migrations are not all done: rows of {column_name}. */
export const TWO_FACTOR_COLUMNS_STATEMENT: Statement = {
  sql: `SELECT column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = 'users' AND column_name = ANY($1)`,
  params: [[...LEGACY_SECRET, 'otp_secret']],
}
