import { newestRelease, releaseOf, seriesBetween } from '../releases.js'
import { MastodonVersion } from '../version.js'

/** A release on the way. */
export interface Stop {
  version: MastodonVersion
  /** Why it is deployed and not passed over; null for the target. */
  why: string | null
  source: string | null
}

interface Rule {
  /** Of an instance before this release … */
  from: string
  /** … on its way to this one or a later one. */
  to: string
  /** The series whose newest release is deployed; the next series where it is left out. */
  at?: string
  why: string
  source: string
}

/** The first that fits decides on the next stop. */
const RULES: readonly Rule[] = [
  {
    from: '2.0.0',
    to: '1.4.1',
    why: 'Below 2.0 one release of each minor is deployed: no later release is tested on such a database.',
    source: "the admin docs' page on upgrading; lib/tasks/tests.rake @v4.6.5 begins at the schema of 2.0.0",
  },
  {
    from: '4.3.0',
    to: '4.4.0',
    at: '4.3',
    why: '4.3 is the last release that knows OTP_SECRET: it moves the two-factor secrets, and says when it cannot.',
    source: 'db/post_migrate/20240307180905 @v4.3.0; CHANGELOG.md @v4.4.0',
  },
]

/**
 * Returns the shortest path: each release to deploy, the target last. Mastodon's own tests migrate from the schema of
 * 2.0.0 straight to the newest one, in one step, and in two with a stop at 4.3.0 (.github/workflows/test-migrations.yml
 * @v4.6.5), so that other releases can be passed over.
 */
export function stopsBetween(from: MastodonVersion, to: MastodonVersion): readonly Stop[] {
  const stops: Stop[] = []
  for (let at = from; at.isOlderThan(to); ) {
    const stop = nextStop(at, to)
    stops.push(stop)
    at = stop.version
  }
  return stops
}

function nextStop(from: MastodonVersion, to: MastodonVersion): Stop {
  const rule = RULES.find(candidate => from.before(candidate.from) && to.atLeast(candidate.to))
  const series = rule && (rule.at ?? seriesBetween(from, to)[0])
  const version = series === undefined ? undefined : newestRelease(series)
  if (rule && version?.isNewerThan(from) && version.isOlderThan(to)) {
    return { version, why: rule.why, source: rule.source }
  }
  return { version: to, why: null, source: null }
}

/** Returns the minor series on the way of which no release is deployed. */
export function passedOver(from: MastodonVersion, stops: readonly Stop[]): readonly string[] {
  const target = stops.at(-1)?.version
  if (target === undefined) return []
  const deployed = new Set(stops.map(({ version }) => version.series))
  return seriesBetween(from, target).filter(series => !deployed.has(series))
}

/** Returns the newest of these releases that is known well enough to plan for, pre-releases left out. */
export function newestPlannable(releases: readonly { version: string }[]): string | undefined {
  const known = releases.map(({ version }) => MastodonVersion.of(version)).filter(version => releaseOf(version))
  const sorted = known.filter(({ prerelease }) => prerelease === undefined).sort(MastodonVersion.compare)
  return sorted.at(-1)?.toString()
}
