import { RefusedError } from '../errors.js'
import type { Database } from '../postgres/access.js'
import type { Toolbox } from '../toolbox.js'

/** When a migration runs: before the new release serves, or after the old one has gone (db/post_migrate, from 2.5.0). */
export type MigrationPhase = 'pre' | 'post'

export interface Migration {
  /** 14 digits, the time at which it was written: migrations run in this order. */
  id: string
  phase: MigrationPhase
}

/** Where the files are read. */
export interface MigrationSource {
  /** In a new process of the app rather than the running one: the release that the next start would run. */
  fresh?: boolean
  /** The files of this release, which was fetched. */
  release?: string
}

const FOLDERS = new Map<string, MigrationPhase>([
  ['db/migrate', 'pre'],
  ['db/post_migrate', 'post'],
])

/**
 * Returns the migrations that the app brings and the database has not had, in the order in which they would run.
 *
 * Told by membership, never by the highest number: post-deployment migrations have lower numbers than the last of the
 * others. Reads files and rows; the app is not loaded.
 *
 * @throws RefusedError without a one-off facet, or when the app has no migrations where they should be.
 */
export async function pendingMigrations(toolbox: Toolbox, source: MigrationSource = {}): Promise<Migration[]> {
  const applied = await appliedMigrations(toolbox)
  return (await migrationFiles(toolbox, source)).filter(migration => !applied.has(migration.id))
}

/**
 * Returns the variables by which the app's own commands work in another database of its server; undefined where
 * DATABASE_URL names the database, which wins over them, and holds a password (config/database.yml, all versions).
 */
export async function variablesOf({ app }: Toolbox, database: string): Promise<Record<string, string> | undefined> {
  return (await app.config()).get('DATABASE_URL') ? undefined : { DB_NAME: database }
}

/** Returns the ids that the live database has had. */
export async function appliedMigrations(toolbox: Toolbox): Promise<ReadonlySet<string>> {
  return appliedIn(await toolbox.database())
}

/** Returns the ids that the database has had; none for a database without the table. */
export async function appliedIn(database: Database): Promise<ReadonlySet<string>> {
  const [table] = await database.query<{ there: boolean }>(
    "SELECT to_regclass('schema_migrations') IS NOT NULL AS there",
  )
  if (!table?.there) return new Set()
  const rows = await database.query<{ version: string }>('SELECT version::text AS version FROM schema_migrations')
  return new Set(rows.map(row => row.version))
}

/** Returns the migrations that the app's files hold, by id. */
export async function migrationFiles(toolbox: Toolbox, source: MigrationSource = {}): Promise<Migration[]> {
  const argv = ['ls', ...FOLDERS.keys()]
  // Its code says nothing: releases before 2.5.0 have no second folder, which `ls` calls an error.
  const listing = await toolbox.app.oneOff().run({ argv, effect: 'read', ofRelease: true, ...source })
  const migrations = migrationsIn(listing.stdout)
  if (migrations.length > 0) return migrations
  throw new RefusedError({
    code: 'no-migration-files',
    message: 'The app has no migrations in db/migrate.',
    cause: listing.stderr.trim() || 'The folder is empty.',
    next: 'See whether the web service runs a Mastodon image: mstdn-ops run -- ls db',
  })
}

/** Returns the migrations of what `ls db/migrate db/post_migrate` printed, by id. */
export function migrationsIn(listing: string): Migration[] {
  const found: Migration[] = []
  let phase: MigrationPhase | undefined
  for (const line of listing.split(/\r?\n/)) {
    phase = FOLDERS.get(line.replace(/:$/, '')) ?? phase
    const id = /^(\d{14})_\w+\.rb$/.exec(line)?.[1]
    if (id !== undefined && phase !== undefined) found.push({ id, phase })
  }
  return found.sort((a, b) => a.id.localeCompare(b.id))
}

/** One line of what `rails db:migrate` prints, where it tells how far it is. */
export interface MigrationProgress {
  id: string
  name: string
  /** Seconds that the migration took; undefined while it runs. */
  seconds?: number
}

/** Returns what a line tells, or undefined: `== 20180813113448 Name: migrated (0.0012s) ====` (every Rails so far). */
export function migrationProgress(line: string): MigrationProgress | undefined {
  const found = /^==\s+(\d{14}) (\w+): (?:migrating|migrated \(([\d.]+)s\)) =/.exec(line)
  const [, id, name, seconds] = found ?? []
  if (id === undefined || name === undefined) return undefined
  return { id, name, ...(seconds === undefined ? {} : { seconds: Number(seconds) }) }
}

/** How far one migration is, where it counts its rows. */
export interface MigrationRows {
  rows: number
  /** Of all, as the migration guesses them. */
  percent?: number
  /** Minutes and seconds that are left, as the migration guesses them: `12:05`. */
  left?: string
}

/**
 * Returns what a line tells of the rows, or undefined. Migrations that change columns in batches print it every second
 * (lib/mastodon/migration_helpers.rb, 2.0.0 and later), one of 2.6.0 its rows alone (MigrateAccountConversations).
 */
export function migrationRows(line: string): MigrationRows | undefined {
  const found = /^ {3}-> Migrated (\d+) rows(?: \(~([\d.]+)%, (\d+:\d\d) remaining)?/.exec(line)
  const [, rows, percent, left] = found ?? []
  if (rows === undefined) return undefined
  return { rows: Number(rows), ...(percent === undefined ? {} : { percent: Number(percent) }), ...(left && { left }) }
}
