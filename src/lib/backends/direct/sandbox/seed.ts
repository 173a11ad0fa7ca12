import { content, type Size } from './seed/content.js'
import { type Era, eraOf } from './seed/era.js'
import { people } from './seed/people.js'

export type { Size } from './seed/content.js'
export { demoDomain } from './seed/people.js'

/** Else the session would add its own insertions to the statistics once more, after ANALYZE has counted them. */
const FLUSH = 'SELECT pg_stat_force_next_flush()'

/**
 * Sample data for an empty, fully migrated database of the release: alice (administrator, two-factor on), bob (never
 * confirmed), carol (moderator), and what a small server knows of eight others. Every name is reserved by RFC 2606.
 *
 * @param release like `4.5.3`
 * @param size without it about 12,000 rows in all tables together
 * @returns SQL statements, one each, to be run in this order by the tables' owner
 */
export function demoData(release: string, size: Partial<Size> = {}): string[] {
  const era = eraOf(release)
  const whole = { ...defaultSize(era), ...size }
  return [...people(era, whole.remoteAccounts), ...content(era, whole), ...refresh(era), FLUSH, 'ANALYZE']
}

/** OStatus kept a second row for each status, and counters had no rows of their own before 2.5.0. */
function defaultSize(era: Era): Size {
  const statuses = era.has('3.0.0') ? 4_650 : era.has('2.5.0') ? 3_250 : 3_650
  return { statuses, remoteAccounts: 500 }
}

/** Materialized views are empty or stale until they are filled. */
function refresh(era: Era): string[] {
  const views = [
    era.has('3.3.0') && 'instances',
    era.has('3.4.0', '4.7.0') && 'account_summaries',
    era.has('3.4.0', '4.2.0') && 'follow_recommendations',
    era.has('4.2.0', '4.7.0') && 'global_follow_recommendations',
  ]
  return views.filter(view => view !== false).map(view => `REFRESH MATERIALIZED VIEW ${view}`)
}
