import type { Picking } from '../postgres/extract.js'
import type { Statement } from './statement.js'

/**
 * What is compared between a backup and the live database, and where it stands in the releases.
 *
 * The columns are looked for on both sides instead of being told by a version: a backup may be of another release, and
 * it is often a half-migrated database that somebody goes back from. A post is local where its account is: that holds
 * for every release, while statuses.local came with 1.6.0, and statuses.uri is NULL only up to 1.5.
 *
 * Source: db/schema.rb of the releases named.
 */

/** The columns of the live database, by table. */
export type Columns = ReadonlyMap<string, ReadonlySet<string>>

/** Tables that the live database must have for anything to be compared; every release has them. */
export const NEEDED = ['accounts', 'users', 'statuses'] as const

/** Rows that are there or not, told by their key. */
export interface Relation {
  id: RelationId
  table: string
  /** What makes a row the same on both sides: a row that is removed and made again has another id. */
  keys: readonly { column: string; type: 'bigint' | 'text' }[]
  /** Only rows in which this column names a local account. */
  of?: string
  /** Only rows in which this column names a remote one. */
  notOf?: string
}

export type RelationId =
  | 'blocks'
  | 'mutes'
  | 'peoplesDomainBlocks'
  | 'serversDomainBlocks'
  | 'follows'
  | 'followers'
  | 'reports'
  | 'moderation'

const PAIR = ['account_id', 'target_account_id'].map(column => ({ column, type: 'bigint' }) as const)
const DOMAIN = { column: 'domain', type: 'text' } as const
const ID = { column: 'id', type: 'bigint' } as const

/** `admin_action_logs` came with 2.1.0, all others are older than 1.3.0. */
export const RELATIONS: readonly Relation[] = [
  { id: 'blocks', table: 'blocks', keys: PAIR, of: 'account_id' },
  { id: 'mutes', table: 'mutes', keys: PAIR, of: 'account_id' },
  { id: 'peoplesDomainBlocks', table: 'account_domain_blocks', keys: [{ ...ID, column: 'account_id' }, DOMAIN] },
  { id: 'serversDomainBlocks', table: 'domain_blocks', keys: [DOMAIN] },
  { id: 'follows', table: 'follows', keys: PAIR, of: 'account_id' },
  { id: 'followers', table: 'follows', keys: PAIR, of: 'target_account_id', notOf: 'account_id' },
  { id: 'reports', table: 'reports', keys: [ID] },
  { id: 'moderation', table: 'admin_action_logs', keys: [ID] },
]

const DATED: ReadonlySet<RelationId> = new Set(['follows', 'followers', 'reports'])

/** What is read of a backup. The dates are those that this server sets itself: other servers' may lie. */
export const PICKINGS: readonly Picking[] = [
  {
    ...{ id: 'accounts', table: 'accounts', empty: 'domain', remember: 'id' },
    // Up to 2.8; from 2.9.0 on; from 4.7.0 on.
    columns: ['id', 'suspended', 'suspended_at', 'requested_deletion_at'],
  },
  {
    ...{ id: 'users', table: 'users', dated: 'created_at' },
    // A role is admin up to 3.5, moderator from 2.1.0 on, role_id from 4.0.0 on.
    columns: ['id', 'email', 'encrypted_password', 'otp_required_for_login', 'admin', 'moderator', 'role_id'],
  },
  // From 3.3.0 on.
  { id: 'securityKeys', table: 'webauthn_credentials', columns: ['user_id'] },
  // Posts that are deleted softly (3.0.0) are deleted.
  { id: 'posts', table: 'statuses', columns: ['id', 'reblog_of_id'], of: 'account_id', empty: 'deleted_at' },
  ...RELATIONS.map(pickingOf),
]

function pickingOf({ id, table, keys, of, notOf }: Relation): Picking {
  const conditions = { ...(of && { of }), ...(notOf && { notOf }) }
  return {
    id,
    table,
    columns: keys.map(({ column }) => column),
    ...conditions,
    ...(DATED.has(id) && { dated: 'created_at' }),
  }
}

/** Returns the columns of the tables compared: rows of {table, column}. */
export const COMPARED_COLUMNS: Statement = {
  sql: `SELECT table_name::text AS "table", column_name::text AS "column" FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = ANY($1)`,
  params: [[...new Set([...NEEDED, ...PICKINGS.map(({ table }) => table)])]],
}

/** Counts the rows of a relation: one row of {n}. */
export function countRelation({ table, keys, of, notOf }: Relation): Statement {
  const conditions = [
    ...keys.map(({ column }) => `t.${column} IS NOT NULL`),
    ...(of ? [account(of, 'IS NULL')] : []),
    ...(notOf ? [account(notOf, 'IS NOT NULL')] : []),
  ]
  return { sql: `SELECT count(*) AS n FROM ${table} t WHERE ${conditions.join(' AND ')}`, params: [] }
}

function account(column: string, domain: 'IS NULL' | 'IS NOT NULL'): string {
  return `EXISTS (SELECT FROM accounts a WHERE a.id = t.${column} AND a.domain ${domain})`
}

/** Counts those of the rows that the live database has, too: one row of {n}. A value for each key in each row. */
export function countKnown({ table, keys }: Relation, rows: readonly (readonly string[])[]): Statement {
  const arrays = keys.map(({ type }, at) => `$${at + 1}::${type}[]`)
  const names = keys.map((_, at) => `k${at + 1}`)
  const same = keys.map(({ column }, at) => `t.${column} = d.k${at + 1}`)
  return {
    sql: `SELECT count(*) AS n FROM unnest(${arrays.join(', ')}) AS d (${names.join(', ')})
WHERE EXISTS (SELECT FROM ${table} t WHERE ${same.join(' AND ')})`,
    params: keys.map((_, at) => rows.map(row => row[at])),
  }
}

/** The row of `livePosts`. */
export interface LivePost {
  id: string
  created_at: Date
  /** Public or unlisted: any server may have it. */
  open: boolean
}

/** Ids from one on, and below another; null where there is no bound. */
export interface IdRange {
  from: string | null
  below: string | null
}

/**
 * Lists the posts of local people that are not deleted: their boosts, or the others. Visibility 0 is public and 1
 * unlisted, in all releases. The bounds are numbers, for a cursor takes no parameters.
 */
export function livePosts(columns: Columns, boosts: boolean, { from, below }: IdRange): string {
  const bounds = [
    ...(from === null ? [] : [`s.id >= ${BigInt(from)}`]),
    ...(below === null ? [] : [`s.id < ${BigInt(below)}`]),
  ]
  const boosted = `s.reblog_of_id IS ${boosts ? 'NOT NULL' : 'NULL'}`
  return `SELECT s.id::text AS id, s.created_at, s.visibility IN (0, 1) AS open
FROM ${LOCAL_POSTS} AND ${[...there(columns), boosted, ...bounds].join(' AND ')}`
}

/** The row of `summedPosts`; the sums are digit strings. */
export interface SummedPosts {
  boost: boolean
  part: number
  n: number
  sum: string
  mixed: string
}

/**
 * Sums up the same posts by the parts that begin with these ids: 0 is what comes before the first one. `mixed` sums up
 * the products of each id's remainders by the moduli. In one pass, for the table is the largest.
 */
export function summedPosts(
  columns: Columns,
  { posts, boosts }: { posts: readonly string[]; boosts: readonly string[] },
  [a, b]: readonly [number, number],
): Statement {
  const boost = 's.reblog_of_id IS NOT NULL'
  const part = `CASE WHEN ${boost} THEN width_bucket(s.id, $2::bigint[]) ELSE width_bucket(s.id, $1::bigint[]) END`
  return {
    sql: `SELECT ${boost} AS boost, ${part} AS part, count(*) AS n, sum(s.id)::text AS sum,
  sum((s.id % ${a}) * (s.id % ${b}))::text AS mixed
FROM ${[LOCAL_POSTS, ...there(columns)].join(' AND ')} GROUP BY 1, 2`,
    params: [posts, boosts],
  }
}

const LOCAL_POSTS = 'statuses s JOIN accounts a ON a.id = s.account_id WHERE a.domain IS NULL'

function there(columns: Columns): string[] {
  return columns.get('statuses')?.has('deleted_at') ? ['s.deleted_at IS NULL'] : []
}

/** The row of `liveAccounts`. */
export interface LiveAccount {
  id: string
  suspended: boolean
  /** Somebody has asked for its deletion. */
  leaving: boolean
}

/**
 * Finds those of the accounts that belong to somebody. A deleted account may stay as a suspended row, so that nobody
 * takes its name; its user does not.
 */
export function liveAccounts(columns: Columns, ids: readonly string[]): Statement {
  const has = (column: string) => columns.get('accounts')?.has(column)
  const suspended = has('suspended_at') ? 'a.suspended_at IS NOT NULL' : has('suspended') ? 'a.suspended' : 'false'
  const leaving = has('requested_deletion_at') ? 'a.requested_deletion_at IS NOT NULL' : 'false'
  const sql = `SELECT a.id::text AS id, ${suspended} AS suspended, ${leaving} AS leaving FROM accounts a
WHERE a.id = ANY($1::bigint[]) AND EXISTS (SELECT FROM users u WHERE u.account_id = a.id)`
  return { sql, params: [ids] }
}

/** The row of `liveUsers`. */
export interface LiveUser {
  id: string
  email: string
  encrypted_password: string
  confirmed: boolean
  /** A sign-in asks for a second factor. */
  challenged: boolean
  role_id: string | null
  admin: boolean | null
  moderator: boolean | null
}

/** Finds those of the users that are there. The rows hold secrets. */
export function liveUsers(columns: Columns, ids: readonly string[]): Statement {
  const has = (column: string) => columns.get('users')?.has(column)
  const sql = `SELECT u.id::text AS id, u.email, u.encrypted_password, u.confirmed_at IS NOT NULL AS confirmed,
  ${has('role_id') ? 'u.role_id::text' : 'NULL'} AS role_id, ${has('admin') ? 'u.admin' : 'NULL'} AS admin,
  ${has('moderator') ? 'u.moderator' : 'NULL'} AS moderator, ${challenged(columns)} AS challenged
FROM users u WHERE u.id = ANY($1::bigint[])`
  return { sql, params: [ids] }
}

/** A security key alone challenges as well. */
function challenged(columns: Columns): string {
  const flag = 'COALESCE(u.otp_required_for_login, false)'
  if (!columns.has('webauthn_credentials')) return flag
  return `(${flag} OR EXISTS (SELECT FROM webauthn_credentials w WHERE w.user_id = u.id))`
}

/** Counts the users: one row of {n, confirmed}. */
export const COUNT_USERS: Statement = {
  sql: 'SELECT count(*) AS n, count(confirmed_at) AS confirmed FROM users',
  params: [],
}
