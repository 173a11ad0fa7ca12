import { arriving, GONE, type MergeOptions, type MergeStatement, staying } from '../postgres/merge-rows.js'
import { keptTables } from './identity.js'
import type { MastodonVersion } from './version.js'

/** No NOT IN, which the server answers row by row once the list is longer than its memory for it. */
function notGone(accounts: string): string {
  return `NOT EXISTS (SELECT FROM ${GONE} g WHERE g.id = ${accounts}.id)`
}

/** Of tables that hold what a reset keeps and content beside it: the rows of a baseline that stay. */
const OF_OTHERS = `account_id IN (SELECT id FROM ${staying('accounts')})`
const STAYS: Readonly<Record<string, string>> = {
  accounts: `domain IS NOT NULL AND ${notGone('accounts')}`,
  keypairs: OF_OTHERS,
  account_stats: OF_OTHERS,
  featured_tags: OF_OTHERS,
  tags: 'true',
  custom_emojis: 'domain IS NOT NULL',
  collections: 'NOT local',
  collection_items: `collection_id IN (SELECT id FROM ${staying('collections')})`,
}

/**
 * Accounts whose posts in a baseline must not come back: local ones that were deleted since, altogether or leaving a
 * row behind that holds the name; suspended ones; those of servers blocked since; and ids that are another's now.
 * Source: app/services/delete_account_service.rb @v4.3.0, app/services/suspend_account_service.rb @v2.4.0.
 */
function goneAccounts(version: MastodonVersion): string {
  const [accounts, users, blocks] = [arriving('accounts'), arriving('users'), arriving('domain_blocks')]
  const suspended = version.atLeast('2.9.0') ? 'n.suspended_at IS NOT NULL' : 'n.suspended'
  const name = (row: string) => `lower(${row}.username) || '@' || lower(coalesce(${row}.domain, ''))`
  return `SELECT a.id FROM accounts a LEFT JOIN ${accounts} n ON n.id = a.id
WHERE n.id IS NULL AND a.domain IS NULL OR ${name('n')} <> ${name('a')} OR ${suspended}
UNION SELECT n.id FROM ${accounts} n
WHERE n.domain IS NULL AND n.id > 0 AND NOT EXISTS (SELECT FROM ${users} u WHERE u.account_id = n.id)
UNION SELECT a.id FROM accounts a JOIN (${domainsUnder(blocks, 1)}) d ON d.domain = a.domain`
}

/** Returns a query of the domains of accounts that a block of this severity is for, or for a parent, and since when. */
function domainsUnder(blocks: string, severity: 0 | 1): string {
  return `SELECT d.domain, min(b.created_at) AS since
FROM (SELECT DISTINCT domain, string_to_array(lower(domain), '.') AS parts FROM accounts WHERE domain IS NOT NULL) d
CROSS JOIN LATERAL generate_series(1, array_length(d.parts, 1)) AS i
JOIN ${blocks} b ON lower(b.domain) = array_to_string(d.parts[i:array_length(d.parts, 1)], '.')
WHERE b.severity = ${severity} GROUP BY d.domain`
}

/**
 * Who was met before the server was limited has it written in the own row, as one who is met since. Whom the live
 * database knows is as it is there. Source: app/services/block_domain_service.rb @v2.4.0, @v4.3.0.
 */
function limited(version: MastodonVersion): MergeStatement {
  const [change, isFree] = version.atLeast('2.9.0')
    ? ['silenced_at = d.since', 'a.silenced_at IS NULL']
    : ['silenced = true', 'NOT a.silenced']
  return {
    needs: ['domain_blocks'],
    sql: `UPDATE accounts a SET ${change} FROM (${domainsUnder('domain_blocks', 0)}) d
WHERE d.domain = a.domain AND ${isFree}
  AND NOT EXISTS (SELECT FROM ${arriving('accounts')} n WHERE n.id = a.id)`,
  }
}

const COUNTED = 'mstdn_counted'
const FEATURED = 'mstdn_featured'

/** How many posts a local account has is told by the baseline, which has them. */
function counts(version: MastodonVersion): Pick<MergeOptions, 'before' | 'after'> {
  const [table, owner] = version.atLeast('2.7.0') ? ['account_stats', 'account_id'] : ['accounts', 'id']
  const local = `SELECT id FROM accounts WHERE domain IS NULL AND ${notGone('accounts')}`
  return {
    before: [
      counted(COUNTED, table, `${owner} AS id, statuses_count`),
      counted(FEATURED, 'featured_tags', 'id, statuses_count, last_status_at'),
    ],
    after: [
      {
        needs: [COUNTED],
        sql: `UPDATE ${table} t SET statuses_count = c.statuses_count FROM ${COUNTED} c
WHERE c.id = t.${owner} AND t.${owner} IN (${local})`,
      },
      {
        needs: [FEATURED],
        sql: `UPDATE featured_tags t SET statuses_count = c.statuses_count, last_status_at = c.last_status_at
FROM ${FEATURED} c WHERE c.id = t.id AND t.account_id IN (${local})`,
      },
    ],
  }
}

function counted(name: string, table: string, columns: string): MergeStatement {
  return { needs: [table], sql: `CREATE TEMP TABLE ${name} ON COMMIT DROP AS SELECT ${columns} FROM ${table}` }
}

/**
 * A post that was published or cancelled since would be published again at once, for Mastodon takes every row whose
 * time has come. Source: app/workers/scheduler/scheduled_statuses_scheduler.rb @v4.3.0.
 */
const unscheduled: MergeStatement[] = [{ needs: ['scheduled_statuses'], sql: 'DELETE FROM scheduled_statuses' }]

/** What a notification speaks of, which no foreign key declares. Source: app/models/notification.rb @v4.5.0. */
const ACTIVITIES: Readonly<Record<string, string>> = {
  ...{ Mention: 'mentions', Status: 'statuses', Favourite: 'favourites', Poll: 'polls', Quote: 'quotes' },
  ...{ Follow: 'follows', FollowRequest: 'follow_requests', AccountWarning: 'account_warnings', Report: 'reports' },
}

function withoutTarget(): MergeStatement[] {
  const notifications = Object.entries(ACTIVITIES).map(([type, table]) => ({
    needs: ['notifications', table],
    sql: `DELETE FROM notifications n WHERE activity_type = '${type}'
  AND NOT EXISTS (SELECT FROM ${table} t WHERE t.id = n.activity_id)`,
  }))
  const conversations = {
    needs: ['account_conversations'],
    sql: `DELETE FROM account_conversations c WHERE last_status_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM statuses s WHERE s.id = c.last_status_id)`,
  }
  return [...notifications, conversations]
}

/**
 * Returns how what a reset keeps comes into the state of an earlier backup. Groups that are left out are emptied
 * there too.
 *
 * @param tables those that the live database has
 */
export function baselineRules(version: MastodonVersion, tables: Iterable<string>): MergeOptions {
  const all = keptTables(version, { tables })
  const { before, after } = counts(version)
  return {
    tables: [...new Set(all.map(({ table }) => table))],
    stays: STAYS,
    owner: { table: 'accounts', column: 'account_id', gone: goneAccounts(version) },
    before: [...before, ...unscheduled],
    after: [...after, limited(version), ...withoutTarget()],
  }
}
