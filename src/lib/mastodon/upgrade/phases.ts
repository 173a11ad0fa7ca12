import { hasPhases, phasedFrom, seriesBetween } from '../releases.js'
import { inRange, type MastodonVersion, type VersionRange } from '../version.js'
import type { MigrationCounts } from './counts.js'
import type { Capabilities } from './surroundings.js'

/** How a release takes the place of another. */
export interface Phases {
  /** `none`: nothing is migrated. `two`: the old release serves while the new one's first migrations run. */
  mode: 'none' | 'two' | 'single'
  why: string
}

/** What the release notes promise where the code does not look. */
const PROMISED_FROM: readonly (VersionRange & { release: string; source: string })[] = [
  { since: '4.3.0', before: '4.4.0', release: '4.2.0', source: 'release notes of 4.3.0' },
]

/** Returns whether post-deployment migrations can wait until the new release serves, or why not. */
export function phasesOf(
  from: MastodonVersion,
  to: MastodonVersion,
  { total }: MigrationCounts,
  can: Capabilities,
): Phases {
  if (total === 0) return { mode: 'none', why: 'Both releases have the same schema.' }
  const obstacle = obstacleOf(from, to, can)
  if (obstacle) return { mode: 'single', why: obstacle }
  return { mode: 'two', why: `${from} can serve while the first migrations of ${to} run.` }
}

function obstacleOf(from: MastodonVersion, to: MastodonVersion, can: Capabilities): string | undefined {
  if (!can.beside)
    return 'Here a release takes the place of the old one as soon as it is there: the stop lasts while it is built and migrates.'
  if (from.prerelease) return `The schema of a pre-release, ${from}, is not known.`
  if (!hasPhases(from)) return 'Migrations are in two phases from 2.5.0 on.'
  const oldest = phasedFrom(to)?.release ?? PROMISED_FROM.find(row => inRange(to, row))?.release
  if (oldest !== undefined) {
    return from.before(oldest) ? `${to} migrates in two phases only from ${oldest} or later.` : undefined
  }
  const [next] = seriesBetween(from, to)
  if (next === undefined || next === to.series) return undefined
  return `Two phases are promised from one minor to the next alone, and ${from} is further away.`
}

/** Up to here the old release can serve again; from here on going back means restoring the backup. */
export type PointOfNoReturn = 'migrations' | 'post-deployment migrations'

/** Returns which migrations, once begun, cannot be gone back from; null where there are none. */
export function pointOfNoReturn({ mode }: Phases, { post }: MigrationCounts): PointOfNoReturn | null {
  if (mode === 'none') return null
  if (mode === 'single') return 'migrations'
  return post === 0 ? null : 'post-deployment migrations'
}
