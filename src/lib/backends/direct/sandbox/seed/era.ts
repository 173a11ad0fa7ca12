import { MastodonVersion } from '../../../../mastodon/version.js'

/** What the schema of one release has, asked by the releases that brought it and took it away. */
export interface Era {
  /** Whether this release has what came with `from` and left with `until`. */
  has(from: string, until?: string): boolean
}

/** @param release like `4.2.9`; throws a TypeError for anything that is no release */
export function eraOf(release: string): Era {
  const version = MastodonVersion.of(release)
  return { has: (from, until) => version.atLeast(from) && (until === undefined || version.before(until)) }
}

/** Column names with SQL expressions as values. */
export type Columns = Readonly<Record<string, string>>

/** The columns where the era has them, else none: for spreading into a record of columns. */
export function when(present: boolean, columns: Columns): Columns {
  return present ? columns : {}
}

/** Rails' two columns at the same moment. */
export function stamped(moment = 'now()'): Columns {
  return { created_at: moment, updated_at: moment }
}

/** One row, or one for each row of `from` (all that may follow SELECT's columns, like `FROM statuses WHERE …`). */
export function insert(table: string, columns: Columns, from = ''): string {
  return `INSERT INTO ${table} (${Object.keys(columns).join(', ')}) SELECT ${Object.values(columns).join(', ')} ${from}`.trim()
}

/** Lets new rows follow those that were given their ids. */
export function followOn(table: string): string {
  return `SELECT setval('${table}_id_seq', (SELECT greatest(max(id), 1) FROM ${table}))`
}
