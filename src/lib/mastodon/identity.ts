import { UsageError } from '../errors.js'
import { KEPT_ACCOUNTS } from './identity/accounts.js'
import { KEPT_ROWS, type KeptGroup, type KeptRow, type SoftReference } from './identity/tables.js'
import type { Statement } from './statement.js'
import { inRange, type MastodonVersion } from './version.js'

export type { KeptGroup } from './identity/tables.js'

/** What each group is, for a plan, in the order in which it shows them. */
export const KEPT_GROUPS: Readonly<Record<KeptGroup, string>> = {
  identity: 'local accounts with their keys, and the server’s own account',
  users: 'sign-in and settings of people',
  follows: 'who follows whom, with the remote accounts',
  relays: 'relays',
  blocks: 'whom people block and mute',
  personal: 'lists, filters, notes, hashtags and collections of people',
  moderation: 'blocked and limited servers, addresses and accounts; warnings',
  roles: 'roles',
  settings: 'settings, rules, announcements and webhooks of the server',
  emoji: 'local emoji',
  tokens: 'apps, access tokens and sessions',
}

/**
 * Groups that a reset can leave out by name. Not the identity: without it the reset is an empty database. Not the
 * follows: that is an option of its own, for what it costs others.
 */
export const DROPPABLE_GROUPS = (Object.keys(KEPT_GROUPS) as KeptGroup[]).filter(
  group => group !== 'identity' && group !== 'follows',
)

export interface Selection {
  /** Groups left out. */
  drop?: readonly string[]
  /** Leaves out the follows, and the remote accounts that nothing else points to. */
  withoutFollows?: boolean
  /** The tables of the old database (`LIST_TABLES`): others are passed over. Without it all count as there. */
  tables?: Iterable<string>
}

/** Lists the tables of the database that is asked: rows of {table}. */
export const LIST_TABLES: Statement = {
  sql: `SELECT relname::text AS "table" FROM pg_class
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY 1`,
  params: [],
}

/** A table of which rows are kept. A table may stand here twice, with conditions that no row meets both of. */
export interface KeptTable {
  table: string
  group: KeptGroup
  why: string
  /** SQL over the old database; all rows without it. */
  where?: string
  /** Columns that change on the way, as SQL over the old row. */
  set?: Readonly<Record<string, string>>
  references?: readonly SoftReference[]
}

/** A table with this many rows or more in it is no fresh database: nothing may be copied over it. */
export const NEVER_IN_FRESH = 'statuses'

/**
 * The tables of which a reset keeps rows, in the order in which they are to be written.
 *
 * Give it the tables that there are: a patch release may lack one that its series has, and conditions name them.
 *
 * @throws UsageError for a group that cannot be dropped.
 */
export function keptTables(version: MastodonVersion, selection: Selection = {}): readonly KeptTable[] {
  const groups = groupsOf(selection)
  const there = selection.tables === undefined ? undefined : new Set(selection.tables)
  const known = KEPT_ROWS.filter(row => inRange(version, row) && groups.has(row.group))
  const rows = known.filter(({ table }) => there === undefined || there.has(table))
  const accounts = keptAccounts(version, groups, rows)
  return rows.map(row => ({
    ...{ table: row.table, group: row.group, why: row.why, where: conditionOf(row, accounts) },
    ...{ set: setOf(row, selection), references: row.references },
  }))
}

function setOf({ set, setWithoutFollows }: KeptRow, { withoutFollows }: Selection): KeptTable['set'] {
  return withoutFollows && setWithoutFollows ? { ...set, ...setWithoutFollows } : set
}

function groupsOf({ drop = [], withoutFollows = false }: Selection): ReadonlySet<KeptGroup> {
  const unknown = drop.filter(group => !(DROPPABLE_GROUPS as readonly string[]).includes(group))
  if (unknown.length > 0) throw notDroppable(unknown)
  const all = Object.keys(KEPT_GROUPS) as KeptGroup[]
  return new Set(all.filter(group => !drop.includes(group) && !(withoutFollows && group === 'follows')))
}

function notDroppable(groups: readonly string[]): UsageError {
  const follows = groups.includes('follows')
    ? ' The follows have an option of their own, for what it costs others.'
    : ''
  return new UsageError({
    code: 'not-droppable',
    message: `A reset cannot leave out: ${groups.join(', ')}.${follows}`,
    next: `choose from ${DROPPABLE_GROUPS.join(', ')}`,
  })
}

/** Returns a query of the ids of the accounts that are kept: local ones, and those that kept rows point to. */
function keptAccounts(version: MastodonVersion, groups: ReadonlySet<KeptGroup>, rows: readonly KeptRow[]): string {
  const own = KEPT_ACCOUNTS.filter(row => inRange(version, row) && groups.has(row.group)).map(({ sql }) => sql)
  const pointed = rows.flatMap(({ table, where, accounts = [] }) =>
    accounts.map(column => `SELECT ${column} FROM ${table}${where === undefined ? '' : ` WHERE ${where}`}`),
  )
  return [...own, ...pointed].join('\nUNION ')
}

function conditionOf(row: KeptRow, accounts: string): string | undefined {
  if (row.table === 'accounts') return `id IN (${accounts})`
  return row.of === undefined ? row.where : `${row.of} IN (${accounts})`
}

/** The row of `REMOTE_FOLLOWERS`. */
export interface RemoteFollowersRow {
  /** Follows of local accounts by remote ones. */
  follows: number
  /** The remote accounts, each once. */
  followers: number
  servers: number
}

/**
 * Counts who would silently stop receiving posts without the follows: one RemoteFollowersRow. OStatus counts the same,
 * for there a follow has a row too.
 */
export const REMOTE_FOLLOWERS: Statement = {
  sql: `SELECT count(*) AS follows, count(DISTINCT f.account_id) AS followers, count(DISTINCT a.domain) AS servers
FROM follows f JOIN accounts a ON a.id = f.account_id JOIN accounts l ON l.id = f.target_account_id
WHERE a.domain IS NOT NULL AND l.domain IS NULL`,
  params: [],
}
