import { plural } from '../text.js'
import type { Migration } from './migrations.js'
import { RELEASES } from './releases/data.js'
import { FORKS, RETIRED } from './releases/forks.js'
import {
  neighboursOfSchema,
  newestRelease,
  preReleasesWithSchema,
  type ReleaseRow,
  releaseOf,
  releasesWithSchema,
  schemaOf,
} from './releases.js'
import { MastodonVersion } from './version.js'

/** What a dump's schema is to the release that would serve it. */
export type FitVerdict = 'fits' | 'older' | 'half-migrated' | 'newer' | 'fork' | 'empty' | 'unknown'

export interface Fit {
  verdict: FitVerdict
  /** Whether the running release can serve it, after its migrations where some are pending. */
  restorable: boolean
  /** The releases that it may come from, like `4.3.0 to 4.3.23`; null where it is of none. */
  madeBy: string | null
  /** How many migrations the running release will run on it; null where that is not known. */
  pending: number | null
  /** Versions that the running release has no file for; of a newer release or a fork. */
  unknown: readonly string[]
  /** The release to install to restore it. */
  install: string | null
  sentence: string
  /** What to do; null where nothing is in the way. */
  next: string | null
}

/** The release that would serve the dump. */
export interface Running {
  version: MastodonVersion
  /** What its files hold ({@link Migration}s); without them counts decide, which tell less. */
  migrations?: readonly Migration[]
}

/** A dump's versions, and what is known of them at once. */
interface Dump {
  ids: ReadonlySet<string>
  newest: string
  row: ReleaseRow | undefined
  /** How many versions of that release it has not got; negative: how many too many. Undefined where not counted. */
  lacks: number | undefined
}

const NONE = { restorable: false, madeBy: null, pending: null, unknown: [], install: null, next: null } as const

/**
 * Judges a dump by the versions in its schema_migrations: by membership, not by the highest alone, for post-deployment
 * migrations have lower numbers than the last of the others.
 */
export function fitOf(versions: Iterable<string>, running: Running): Fit {
  const ids = new Set(versions)
  if (ids.size === 0) return empty()
  const dump = dumpOf(ids)
  const known = new Set(running.migrations?.map(({ id }) => id))
  const unknown = [...ids].filter(id => id !== RETIRED.id && !known.has(id)).sort()
  const fork = FORKS.find(({ versions: own }) => own.some(id => unknown.includes(id)))
  if (fork)
    return ofFork(
      unknown.filter(id => running.migrations !== undefined || isOfForks(id)),
      fork.name,
    )
  return running.migrations ? byFiles(dump, running, running.migrations, unknown) : byCounts(dump, running)
}

function isOfForks(id: string): boolean {
  return FORKS.some(({ versions }) => versions.includes(id))
}

function dumpOf(ids: ReadonlySet<string>): Dump {
  const newest = [...ids].sort().at(-1) ?? ''
  const [row] = releasesWithSchema(newest)
  return { ids, newest, row, lacks: lackingFor(row, ids) }
}

/** How many of a release's versions are not there; undefined where they were not counted. */
function lackingFor(row: ReleaseRow | undefined, ids: ReadonlySet<string>): number | undefined {
  if (row?.migrations === undefined) return undefined
  const extra = ids.has(RETIRED.id) && MastodonVersion.of(row.first).atLeast(RETIRED.gone) ? 1 : 0
  return row.migrations + (row.postMigrations ?? 0) - (ids.size - extra)
}

function byFiles(dump: Dump, { version }: Running, files: readonly Migration[], unknown: readonly string[]): Fit {
  const newestFile = newestOf(files)
  if (unknown.length > 0) return dump.newest > newestFile ? newer(dump, version, unknown) : ofFork(unknown)
  const pending = files.filter(({ id }) => !dump.ids.has(id))
  if (pending.length === 0) return fits(version)
  return lacksPostsAlone(dump, files, pending) ? postMissing(version, pending) : behind(dump, version, pending.length)
}

/** A release may add nothing else than post-deployment migrations: the one before it is no half of it. */
function lacksPostsAlone(dump: Dump, files: readonly Migration[], pending: readonly Migration[]): boolean {
  if (dump.lacks === 0 || pending.some(({ phase }) => phase === 'pre')) return false
  return dump.newest >= newestOf(files.filter(({ phase }) => phase === 'pre'))
}

function newestOf(files: readonly Migration[]): string {
  const ids = files.map(({ id }) => id).sort()
  return ids.at(-1) ?? ''
}

/** Without the files of the running release: its highest version and its count are known, not its list. */
function byCounts(dump: Dump, { version }: Running): Fit {
  const schema = schemaOf(version)
  if (schema === undefined) return unknownRelease(version)
  if (dump.newest > schema) return newer(dump, version, [])
  if (dump.lacks !== undefined && dump.lacks < 0) return surplus(-dump.lacks, version)
  if (dump.newest === schema && !dump.lacks) return fits(version)
  return behind(dump, version, lackingFor(releaseOf(version), dump.ids) ?? null)
}

function empty(): Fit {
  const sentence = 'The dump has no migration in schema_migrations: it is not a database of Mastodon, or an empty one.'
  return { ...NONE, verdict: 'empty', sentence, next: 'Name the dump of a database that Mastodon used.' }
}

function fits(version: MastodonVersion): Fit {
  const madeBy = rangeOf(releaseOf(version)) ?? version.toString()
  const sentence = `The dump has the schema of Mastodon ${version}.`
  return { ...NONE, verdict: 'fits', restorable: true, madeBy, pending: 0, sentence }
}

function postMissing(version: MastodonVersion, pending: readonly Migration[]): Fit {
  const ids = pending.map(({ id }) => id).join(', ')
  const count = plural(pending.length, 'post-deployment migration is', 'post-deployment migrations are')
  const sentence = `The dump is half migrated to Mastodon ${version}: ${count} missing (${ids}), and will be run.`
  return {
    ...NONE,
    verdict: 'half-migrated',
    restorable: true,
    madeBy: rangeOf(releaseOf(version)),
    pending: pending.length,
    sentence,
  }
}

/** Of an older release, whole or on the way to the next: the migrations of the running one bring it up. */
function behind(dump: Dump, version: MastodonVersion, pending: number | null): Fit {
  const will = pending === null ? 'migrations will bring it up' : `${plural(pending, 'migration')} will bring it up`
  const madeBy = nameOf(dump)
  const found = { ...NONE, restorable: true, madeBy, pending }
  if (madeBy !== null && !isHalf(dump)) {
    const sentence = `The dump is of Mastodon ${madeBy}, older than ${version}: ${will}.`
    return { ...found, verdict: 'older', sentence }
  }
  const lack = isHalf(dump) ? ` (${plural(dump.lacks ?? 0, 'migration is', 'migrations are')} missing)` : ''
  const sentence = `The dump is half migrated, ${between(dump)}${lack}: ${will} to ${version}.`
  return { ...found, verdict: 'half-migrated', sentence }
}

function isHalf({ lacks }: Dump): boolean {
  return lacks !== undefined && lacks > 0
}

function newer(dump: Dump, version: MastodonVersion, unknown: readonly string[]): Fit {
  const install = installFor(dump)
  const made = dump.row ? `of Mastodon ${rangeOf(dump.row)}` : `${between(dump)}, or of a fork`
  const half = isHalf(dump) ? ', half migrated' : ''
  const sentence = `The dump is ${made}${half}: newer than Mastodon ${version}, which cannot serve it.`
  const release =
    install === null ? 'the release that made it, newer than any that is known here' : `Mastodon ${install}`
  const next = `Install ${release}, then run the command again.`
  return { ...NONE, verdict: 'newer', madeBy: nameOf(dump), unknown, install, sentence, next }
}

/** The newest release that has the schema of the dump; the first one after it where no release has. */
function installFor({ newest, row }: Dump): string | null {
  const target = row ?? neighboursOfSchema(newest).newer
  if (!target) return null
  const latest = newestRelease(MastodonVersion.of(target.last).series)
  return latest && releaseOf(latest)?.schema === target.schema ? latest.toString() : target.last
}

function ofFork(unknown: readonly string[], name?: string): Fit {
  const whose = name ? `of ${name}` : 'of a fork or a build of its own'
  const count = plural(unknown.length, 'version', 'versions')
  const sentence = `The dump is ${whose}: its schema has ${count} that no release of Mastodon knows (${unknown.join(', ')}).`
  const software = name ?? 'the software that made it'
  const next = `Restore it where ${software} runs: the migrations of Mastodon are not safe on it.`
  return { ...NONE, verdict: 'fork', unknown, sentence, next }
}

function surplus(count: number, version: MastodonVersion): Fit {
  const more = plural(count, 'version', 'versions')
  const sentence = `The dump is of a fork or a build of its own: its schema has ${more} more than the release of Mastodon that it is of.`
  const next = `Restore it where the software that made it runs: the migrations of Mastodon ${version} are not safe on it.`
  return { ...NONE, verdict: 'fork', sentence, next }
}

function unknownRelease(version: MastodonVersion): Fit {
  const sentence = `The schema of Mastodon ${version} is not known here, so whether the dump fits cannot be told.`
  return { ...NONE, verdict: 'unknown', sentence, next: 'Name a release as mastodon_version in mstdn-ops.yaml.' }
}

function nameOf({ newest, row }: Dump): string | null {
  return rangeOf(row) ?? preReleasesWithSchema(newest).at(0) ?? null
}

function rangeOf(row: ReleaseRow | undefined): string | null {
  if (!row) return null
  return row.first === row.last ? row.first : `${row.first} to ${row.last}`
}

function between({ newest, row }: Dump): string {
  const { older, newer: next } = row
    ? { older: RELEASES[RELEASES.indexOf(row) - 1], newer: row }
    : neighboursOfSchema(newest)
  if (!older) return `before Mastodon ${next?.first}`
  return next ? `between Mastodon ${older.last} and ${next.first}` : `after Mastodon ${older.last}`
}
