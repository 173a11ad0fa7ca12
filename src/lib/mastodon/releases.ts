import {
  NEEDS,
  NEWEST,
  PHASED_FROM,
  POST_MIGRATIONS,
  POSTGRES_CHECKED,
  type PostgresMinimum,
  type PostMigrationCount,
  PRE_RELEASE_SCHEMAS,
  RELEASES,
  type ReleaseRow,
  RUNTIMES,
  type Runtime,
  type ServerNeeds,
} from './releases/data.js'
import { SECURITY_PATCHES } from './releases/security.js'
import { inRange, MastodonVersion } from './version.js'

export type { PostgresMinimum, ReleaseRow } from './releases/data.js'

export interface KnownRelease extends ReleaseRow {
  /** False for a patch release that was not looked at: its schema is expected to be that of its series. */
  verified: boolean
}

const { of } = MastodonVersion

function last<T>(list: readonly T[], fits: (item: T) => boolean): T | undefined {
  return list.filter(fits).at(-1)
}

/** A row holds its own releases, and the patch releases that followed in the series of its last one. */
function holds(row: ReleaseRow, version: MastodonVersion): boolean {
  if (version.prerelease) return version.equals(of(row.first))
  if (version.isOlderThan(of(row.first))) return false
  return !version.isNewerThan(of(row.last)) || version.series === of(row.last).series
}

/**
 * Returns the row of a release.
 * @returns undefined for a pre-release whose schema is not recorded, for 1.4.0, which never was, and for a
 * series that is newer than this table
 */
export function releaseOf(version: MastodonVersion): KnownRelease | undefined {
  const row = last(RELEASES, candidate => holds(candidate, version))
  if (!row) return undefined
  return { ...row, verified: !row.inferred && !version.isNewerThan(of(row.last)) }
}

/** The highest version in schema_migrations of a fully migrated database, 14 digits; undefined as for `releaseOf`. */
export function schemaOf(version: MastodonVersion): string | undefined {
  const release = releaseOf(version)
  return release?.schema ?? preReleaseSchema(version)
}

function preReleaseSchema(version: MastodonVersion): string | undefined {
  const entries = Object.entries(PRE_RELEASE_SCHEMAS)
  return entries.find(([, releases]) => releases.some(release => of(release).equals(version)))?.[0]
}

/**
 * The releases whose fully migrated database has this highest schema version: a range, never a single release.
 * A post-deployment migration may still be pending, for those usually have lower versions.
 */
export function releasesWithSchema(schema: string): readonly ReleaseRow[] {
  return RELEASES.filter(row => row.schema === schema)
}

/** The pre-releases and states of the main branch that had this highest schema version. */
export function preReleasesWithSchema(schema: string): readonly string[] {
  return PRE_RELEASE_SCHEMAS[schema] ?? []
}

/** The rows between which a schema version lies that belongs to no release: a checkout of the main branch, or a fork. */
export function neighboursOfSchema(schema: string): { older?: ReleaseRow; newer?: ReleaseRow } {
  const sorted = [...RELEASES].sort((a, b) => a.schema.localeCompare(b.schema))
  return { older: last(sorted, row => row.schema < schema), newer: sorted.find(row => row.schema > schema) }
}

/** The newest release that is known here of the series, or of all series. */
export function newestRelease(series?: string): MastodonVersion | undefined {
  const named = [...RELEASES.map(row => row.last), ...NEWEST.map(row => row.release)].map(of)
  const fitting = named.filter(version => !version.prerelease && (series === undefined || version.series === series))
  return fitting.sort(MastodonVersion.compare).at(-1)
}

/** The day on which support of the series ends, as YYYY-MM-DD; undefined where it is not known. */
export function supportEnds(version: MastodonVersion): string | undefined {
  return NEWEST.find(row => row.series === version.series)?.supportEnds
}

/** The minor series after that of `from`, up to that of `to`: each should be deployed once on the way. */
export function seriesBetween(from: MastodonVersion, to: MastodonVersion): readonly string[] {
  const firsts = RUNTIMES.map(row => of(row.since).release)
  const later = firsts.filter(first => first.isNewerThan(from) && !first.isNewerThan(to.release))
  return later.filter(first => first.series !== from.series).map(first => first.series)
}

/** The releases after `from`, up to `to`, that add post-deployment migrations. */
export function postMigrationsBetween(from: MastodonVersion, to: MastodonVersion): readonly PostMigrationCount[] {
  return POST_MIGRATIONS.filter(row => from.before(row.release) && to.atLeast(row.release))
}

/** The patch releases of the same series after `from`, up to `to`, that are known to fix security problems. */
export function securityReleases(from: MastodonVersion, to: MastodonVersion): readonly string[] {
  if (from.series !== to.series) return []
  const patches = SECURITY_PATCHES[to.series] ?? []
  return patches.filter(patch => patch > from.patch && patch <= to.patch).map(patch => `${to.series}.${patch}`)
}

/** The series that are supported, with the newest release of each. */
export function supportedReleases(): readonly MastodonVersion[] {
  return NEWEST.map(row => of(row.release))
}

export interface Requirements {
  runtime: Runtime
  server: ServerNeeds
  /** What `db:migrate` itself refuses to work with; undefined before 3.4.0. */
  migrationChecks: PostgresMinimum | undefined
}

/** What a release needs. Undefined before 1.3.0. */
export function requirements(version: MastodonVersion): Requirements | undefined {
  const runtime = last(RUNTIMES, row => version.atLeast(row.since))
  const server = NEEDS.find(row => inRange(version, row))
  if (!runtime || !server) return undefined
  return { runtime, server, migrationChecks: POSTGRES_CHECKED.find(row => inRange(version, row))?.postgres }
}

/**
 * The oldest release, and its schema, from which post-deployment migrations may be left for later.
 * Undefined where the release does not check it (before 4.4.0).
 */
export function phasedFrom(version: MastodonVersion): { release: string; schema: string } | undefined {
  const row = PHASED_FROM.find(candidate => inRange(version, candidate))
  return row && { release: row.release, schema: row.schema }
}

/** Whether the release has post-deployment migrations at all. */
export function hasPhases(version: MastodonVersion): boolean {
  return version.atLeast('2.5.0')
}

/** Whether the published images of the release contain the compiled assets. Source: Dockerfile @v2.5.0. */
export function imagesShipAssets(version: MastodonVersion): boolean {
  return version.atLeast('2.5.0')
}

/** The folders into which a release compiles its assets: Sprockets' always, webpacker's from 1.4.1, Vite's from 4.4.0 (Gemfile). */
export function assetFolders(version: MastodonVersion): readonly string[] {
  return version.atLeast('1.4.1') ? ['public/assets', 'public/packs'] : ['public/assets']
}

/** Whether the schema of a release has foreign keys, which refuse rows that point to nothing (1.4.2, db/migrate). */
export function hasForeignKeys(version: MastodonVersion): boolean {
  return version.atLeast('1.4.2')
}

/** Whether `db:seed` may run twice: before 4.0.0 it makes its rows anew, or fails (db/seeds.rb). */
export function seedsRepeatably(version: MastodonVersion): boolean {
  return version.atLeast('4.0.0')
}
