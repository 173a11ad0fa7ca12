import { RETIRED } from '../releases/forks.js'
import { type KnownRelease, postMigrationsBetween, releaseOf } from '../releases.js'
import type { MastodonVersion } from '../version.js'

/** How many migrations will run; null where the releases were not counted. */
export interface MigrationCounts {
  total: number | null
  post: number | null
}

/** Returns how many migrations lie between two releases, by the files that each brings. */
export function migrationsBetween(from: MastodonVersion, to: MastodonVersion): MigrationCounts {
  const [old, next] = [from.prerelease ? undefined : releaseOf(from), releaseOf(to)]
  if (old === undefined || next === undefined) return { total: null, post: null }
  if (old.schema === next.schema) return { total: 0, post: 0 }
  const [before, after] = [filesOf(old), filesOf(next)]
  const retired = from.before(RETIRED.gone) && to.atLeast(RETIRED.gone) ? 1 : 0
  const post = postMigrationsBetween(from, to).reduce((sum, { count }) => sum + count, 0)
  return { total: before === null || after === null ? null : after - before + retired, post }
}

function filesOf({ migrations, postMigrations }: KnownRelease): number | null {
  return migrations === undefined ? null : migrations + (postMigrations ?? 0)
}
