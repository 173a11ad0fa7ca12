import { newestRelease, releaseOf, securityReleases, supportEnds } from '../releases.js'
import { inRange, MastodonVersion } from '../version.js'
import { type MigrationCounts, migrationsBetween } from './counts.js'
import { imageOfRelease, imagesOf, type ReleaseImages } from './images.js'
import type { Leap, Need } from './needs/need.js'
import { needsOf } from './needs.js'
import { UPGRADE_NOTES, type UpgradeNote } from './notes.js'
import { type Phases, type PointOfNoReturn, phasesOf, pointOfNoReturn } from './phases.js'
import { pathRefusal, type Refusal, unknownTarget } from './refusals.js'
import { schemaRefusal } from './schema.js'
import { type RetiredSetting, retiredBetween } from './settings.js'
import { passedOver, type Stop, stopsBetween } from './stops.js'
import type { UpgradeSurroundings } from './surroundings.js'

/** One release to deploy. */
export interface UpgradeStep {
  from: string
  to: string
  /** Why it is not passed over; null for the target. */
  why: string | null
  /** False for a patch release that was not looked at: it is taken for its neighbours. */
  verified: boolean
  /** The tag of the source, like `v4.5.3`. */
  tag: string
  images: ReleaseImages | null
  migrations: MigrationCounts
  phases: Phases
  /** Once these have begun, going back means restoring the backup; null where the old release can serve at any time. */
  pointOfNoReturn: PointOfNoReturn | null
}

/** What an upgrade will be. It may go ahead when there are no refusals. JSON as it stands. */
export interface UpgradePlan {
  from: string
  to: string
  /** What is deployed in place of the target, which its code calls itself; absent for a release. */
  ref?: { name: string; commit: string }
  /** The releases to deploy in turn; empty when there is nothing to do, or no path. */
  steps: readonly UpgradeStep[]
  /** The minor series of which none is deployed. */
  passed: readonly string[]
  needs: readonly Need[]
  /** Variables that are set and lose their effect or their name. */
  settings: readonly RetiredSetting[]
  notes: readonly UpgradeNote[]
  /** A newer release of the target's series, and those that fix security problems up to it. */
  newer: { release: string; security: readonly string[] } | null
  /** YYYY-MM-DD, where it is known. */
  supportEnds: string | null
  refusals: readonly Refusal[]
}

/**
 * Returns the plan of an upgrade from the installed release to another one.
 *
 * @param target a release as Mastodon or a tag writes it; anything else is refused in the plan
 */
export function upgradePath(target: string, surroundings: UpgradeSurroundings): UpgradePlan {
  const { installed, schema } = surroundings
  const [from, to] = [MastodonVersion.parse(installed), MastodonVersion.parse(target)]
  if (from === undefined) return refused(installed, target, unknownTarget(installed))
  if (to === undefined) return refused(installed, target, unknownTarget(target))
  if (from.equals(to) && from.metadata === to.metadata) return nothing(from, to)
  const refusal = pathRefusal(from, to, schema)
  return refusal === undefined ? planned(from, to, surroundings) : refused(installed, target, refusal)
}

const EMPTY = { steps: [], passed: [], needs: [], settings: [], notes: [], newer: null, supportEnds: null } as const

function refused(from: string, to: string, refusal: Refusal): UpgradePlan {
  return { ...EMPTY, from, to, refusals: [refusal] }
}

function nothing(from: MastodonVersion, to: MastodonVersion): UpgradePlan {
  return { ...EMPTY, from: from.toString(), to: to.toString(), ...prospects(to), refusals: [] }
}

function planned(from: MastodonVersion, to: MastodonVersion, surroundings: UpgradeSurroundings): UpgradePlan {
  const stops = stopsBetween(from, to)
  const leaps = stops.map(({ version }, at) => ({ from: stops[at - 1]?.version ?? from, to: version }))
  const needs = needsOf(leaps, surroundings)
  const wrongSchema = schemaRefusal(from, surroundings.schema)
  const unmet = needs.filter(({ when, met }) => when === 'before' && met === false)
  return {
    from: from.toString(),
    to: to.toString(),
    steps: leaps.map((leap, at) => stepOf(leap, stops[at], surroundings)),
    passed: passedOver(from, stops),
    needs,
    settings: retiredBetween(from, to, surroundings.variables?.set ?? []),
    notes: notesFor(from, leaps, surroundings),
    ...prospects(to),
    refusals: [...(wrongSchema ? [wrongSchema] : []), ...unmet.map(need => refusalOf(need, from, to, surroundings))],
  }
}

function stepOf({ from, to }: Leap, stop: Stop | undefined, surroundings: UpgradeSurroundings): UpgradeStep {
  const { can } = surroundings
  const migrations = migrationsBetween(from, to)
  const phases = phasesOf(from, to, migrations, can)
  return {
    ...{ from: from.toString(), to: to.toString(), why: stop?.why ?? null },
    verified: releaseOf(to)?.verified ?? false,
    tag: tagOf(to),
    images: can.images ? imagesHere(to, surroundings) : null,
    ...{ migrations, phases, pointOfNoReturn: pointOfNoReturn(phases, migrations) },
  }
}

/** In the instance's own repositories, where it has its images from there. */
function imagesHere(to: MastodonVersion, { services }: UpgradeSurroundings): ReleaseImages | null {
  const official = imagesOf(to)
  if (official === undefined) return null
  const own = (isStreaming: boolean) => {
    const image = services?.find(({ role, image }) => (role === 'streaming') === isStreaming && image !== null)?.image
    return image ? imageOfRelease(image, to, isStreaming) : undefined
  }
  const app = own(false) ?? official.app
  return { app, streaming: own(true) ?? imageOfRelease(app, to, true) ?? official.streaming }
}

/** The first release of all has a short tag. */
function tagOf(version: MastodonVersion): string {
  return version.toString() === '1.3.0' ? 'v1.3' : `v${version}`
}

/** What cannot be seen is told. */
function notesFor(from: MastodonVersion, leaps: readonly Leap[], { can, variables }: UpgradeSurroundings) {
  const deployed = leaps.map(({ to }) => to)
  return UPGRADE_NOTES.filter(note => {
    const { images, set } = note
    if (!concerns(note, from, deployed)) return false
    if (images !== undefined && images !== can.images) return false
    return set === undefined || variables === null || set.some(name => variables.set.includes(name))
  })
}

function concerns({ release, deployed }: UpgradeNote, from: MastodonVersion, releases: readonly MastodonVersion[]) {
  if (deployed !== undefined) return releases.some(version => inRange(version, deployed))
  return from.before(release) && releases.some(version => version.atLeast(release))
}

function prospects(to: MastodonVersion): Pick<UpgradePlan, 'newer' | 'supportEnds'> {
  const newest = newestRelease(to.series)
  const newer = newest?.isNewerThan(to)
    ? { release: newest.toString(), security: securityReleases(to, newest) }
    : undefined
  return { newer: newer ?? null, supportEnds: supportEnds(to) ?? null }
}

/** What takes more than a line to meet: another release may do meanwhile. */
const NOT_EASY: ReadonlySet<string> = new Set(['postgres', 'redis', 'redis-namespace'])

function refusalOf(need: Need, from: MastodonVersion, to: MastodonVersion, surroundings: UpgradeSurroundings): Refusal {
  const reachable = NOT_EASY.has(need.id) ? within(need, from, to, surroundings) : undefined
  const or = reachable && `Or first go as far as it is enough for: mstdn-ops upgrade --to ${reachable}`
  return {
    code: `unmet-${need.id.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`,
    message: `${need.release} needs ${need.what}; here: ${need.found ?? 'nothing'}.`,
    next: [...need.commands, ...(or ? [or] : [])].join('\n'),
  }
}

/** The newest release on the way that is content with what there is. */
function within(need: Need, from: MastodonVersion, to: MastodonVersion, surroundings: UpgradeSurroundings) {
  const newest = releasesOnTheWay(from, to).filter(version =>
    needsOf([{ from, to: version }], surroundings).every(({ id, met }) => id !== need.id || met === true),
  )
  return newest.at(-1)
}

function releasesOnTheWay(from: MastodonVersion, to: MastodonVersion): MastodonVersion[] {
  const all = [from.series, ...passedOver(from, [{ version: to, why: null, source: null }])]
  const newest = all.flatMap(series => newestRelease(series) ?? [])
  return newest.filter(version => version.isNewerThan(from) && version.isOlderThan(to))
}
