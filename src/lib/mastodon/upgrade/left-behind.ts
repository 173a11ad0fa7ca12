import type { Database } from '../../postgres/access.js'
import { inRange, type MastodonVersion } from '../version.js'

/** Local accounts sign with what stands in `keypairs`; before, with `accounts.private_key`. Source: CHANGELOG of 4.7.0. */
const KEYPAIRS = { since: '4.7.0' } as const

/**
 * Returns how many local accounts, which the newer release has made, have keys that the older one does not look for: to
 * other servers it would speak for them unsigned.
 */
export async function accountsLeftBehind(
  database: Database,
  { older, newer }: { older: MastodonVersion; newer: MastodonVersion },
): Promise<number> {
  if (!inRange(newer, KEYPAIRS) || inRange(older, KEYPAIRS)) return 0
  const [row] = await database.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM accounts
     WHERE domain IS NULL AND coalesce(private_key, '') = ''
       AND EXISTS (SELECT FROM keypairs WHERE keypairs.account_id = accounts.id)`,
  )
  return row?.count ?? 0
}
