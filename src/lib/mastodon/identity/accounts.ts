import type { VersionRange } from '../version.js'
import type { KeptGroup } from './tables.js'

export const LOCAL = 'SELECT id FROM accounts WHERE domain IS NULL'

/** Accounts that are kept for what is written in their own row. SQL over the old database that returns ids. */
export interface KeptAccounts extends VersionRange {
  group: KeptGroup
  sql: string
}

/**
 * A block of a whole server (severity 1, or 0 to silence it) sets the same in each of its accounts, and does so again
 * when they are met again: they are not kept for it. Source: app/models/domain_block.rb @v2.4.0, @v4.3.0.
 */
const limited = (suspended: string, silenced: string) => `SELECT id FROM accounts
  WHERE domain IS NOT NULL AND (${suspended} OR ${silenced}) AND NOT EXISTS (SELECT FROM domain_blocks b
    WHERE b.domain = accounts.domain AND (b.severity = 1 OR b.severity = 0 AND NOT (${suspended})))`

export const KEPT_ACCOUNTS: readonly KeptAccounts[] = [
  { group: 'identity', since: '1.3.0', sql: LOCAL },
  {
    ...{ group: 'identity', since: '2.1.0' },
    sql: 'SELECT moved_to_account_id FROM accounts WHERE domain IS NULL',
  },
  { group: 'moderation', since: '1.3.0', before: '2.9.0', sql: limited('suspended', 'silenced') },
  {
    ...{ group: 'moderation', since: '2.9.0', before: '3.3.0' },
    sql: limited('suspended_at IS NOT NULL', 'silenced_at IS NOT NULL'),
  },
  {
    ...{ group: 'moderation', since: '3.3.0' },
    // Origin 1 is a suspension by the account's own server, which says so again.
    sql: limited(
      'suspended_at IS NOT NULL AND suspension_origin IS DISTINCT FROM 1',
      '(silenced_at IS NOT NULL OR sensitized_at IS NOT NULL)',
    ),
  },
]
