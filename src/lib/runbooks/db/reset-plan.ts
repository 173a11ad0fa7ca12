import {
  KEPT_GROUPS,
  type KeptGroup,
  type KeptTable,
  keptTables,
  REMOTE_FOLLOWERS,
  type RemoteFollowersRow,
  type Selection,
} from '../../mastodon/identity.js'
import { LOST_ROWS } from '../../mastodon/lost.js'
import type { Database } from '../../postgres/access.js'
import { quoteIdent } from '../../postgres/quote.js'
import { grouped, plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { tablesOf } from '../replace/identity.js'

/** What the operator chose to leave out. */
export type Left = Pick<Selection, 'drop' | 'withoutFollows'>

export interface KeptCount {
  table: string
  group: KeptGroup
  rows: number
}

export interface LostCount {
  what: string
  rows: number
}

/** What a reset would keep and lose, counted. */
export interface ResetPlan {
  kept: KeptCount[]
  lost: LostCount[]
  /** Groups that are left out as asked. */
  leftOut: KeptGroup[]
  /** Whom it costs posts that the follows are left out; null where they are kept. */
  unserved: RemoteFollowersRow | null
}

/** Returns the tables of which rows are kept, of those that the live database has. @throws UsageError. */
export async function keptRows(toolbox: Toolbox, left: Left): Promise<readonly KeptTable[]> {
  const [version, tables] = [await toolbox.app.version(), await tablesOf(await toolbox.database())]
  return keptTables(version, { ...left, tables })
}

/** Counts in one state of the live database. @throws UsageError for a group that cannot be left out. */
export async function planOf(toolbox: Toolbox, left: Left): Promise<ResetPlan> {
  const kept = await keptRows(toolbox, left)
  const database = await toolbox.database()
  const leftOut = [...(left.withoutFollows ? (['follows'] as const) : []), ...((left.drop ?? []) as KeptGroup[])]
  return database.snapshot(async () => ({
    kept: await countKept(database, kept),
    lost: await countLost(database),
    leftOut,
    unserved: left.withoutFollows ? await followersOf(database) : null,
  }))
}

async function countKept(database: Database, kept: readonly KeptTable[]): Promise<KeptCount[]> {
  const counts: KeptCount[] = []
  for (const { table, group, where } of kept) counts.push({ table, group, rows: await count(database, table, where) })
  return counts
}

async function countLost(database: Database): Promise<LostCount[]> {
  const there = await tablesOf(database)
  const counts: LostCount[] = []
  for (const { what, table, where } of LOST_ROWS.filter(lost => there.has(lost.table))) {
    counts.push({ what, rows: await count(database, table, where) })
  }
  return counts
}

async function followersOf(database: Database): Promise<RemoteFollowersRow> {
  const [row] = await database.query<RemoteFollowersRow>(REMOTE_FOLLOWERS.sql)
  return row ?? { follows: 0, followers: 0, servers: 0 }
}

async function count(database: Database, table: string, where = 'true'): Promise<number> {
  const sql = `SELECT count(*) AS rows FROM ${quoteIdent(table)} WHERE ${where}`
  const [row] = await database.query<{ rows: number }>(sql)
  return row?.rows ?? 0
}

/** Returns the plan as lines for people; `back` is what is told of the backup that the reset begins with. */
export function planText({ kept, lost, leftOut, unserved }: ResetPlan, back: readonly string[] = []): string {
  const groups = (Object.keys(KEPT_GROUPS) as KeptGroup[]).map(group => ({
    group,
    counts: kept.filter(count => count.group === group && count.rows > 0),
  }))
  return [
    'Kept:',
    ...groups.filter(({ counts }) => counts.length > 0).map(({ group, counts }) => `  ${keptLine(group, counts)}`),
    ...(leftOut.length === 0 ? [] : ['Left out, as asked:', ...leftOut.map(group => `  ${KEPT_GROUPS[group]}`)]),
    `Lost here${back.length === 0 ? '' : ', save for what the backup holds'} (other servers have of it what they have):`,
    ...lost.filter(({ rows }) => rows > 0).map(({ what, rows }) => `  ${grouped(rows)} ${what}`),
    ...back,
    ...(unserved === null ? [] : [unservedLine(unserved)]),
  ].join('\n')
}

function keptLine(group: KeptGroup, counts: readonly KeptCount[]): string {
  return `${KEPT_GROUPS[group]}: ${counts.map(({ table, rows }) => `${table} ${grouped(rows)}`).join(', ')}`
}

/** Says whom it costs what that the follows are left out. */
export function unservedLine({ followers, servers }: RemoteFollowersRow): string {
  const verb = followers === 1 ? 'stops' : 'stop'
  return `${plural(followers, 'follower')} on ${plural(servers, 'other server')} silently ${verb} receiving posts.`
}
