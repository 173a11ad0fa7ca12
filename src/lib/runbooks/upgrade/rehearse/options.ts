import { namedBackup } from '../../../backups/named.js'
import type { StoredBackup } from '../../../backups/store.js'
import { RefusedError } from '../../../errors.js'
import type { MigrationPhase } from '../../../mastodon/migrations.js'
import { appliedMigrations } from '../../../mastodon/migrations.js'
import type { LockSeen, Rewrite } from '../../../postgres/migration-watch.js'
import type { Toolbox } from '../../../toolbox.js'
import type { UpgradeOptions } from '../options.js'

/** Where the copy is migrated: on the live server, or on one of its own that is thrown away. */
export type RehearsedIn = 'server' | 'sandbox'

/** What is made there besides the network and the Redis, for people. */
export const MADE = { server: 'database, the role', sandbox: 'PostgreSQL' } as const satisfies Record<
  RehearsedIn,
  string
>

export interface RehearsalOptions {
  /** The upgrade that is rehearsed; whether it makes a backup says nothing here. */
  upgrade: UpgradeOptions
  /** The folder of the backup that is migrated; null: a dump that is made for it. */
  backup: string | null
  in: RehearsedIn
}

export interface TimedMigration {
  id: string
  name: string
  phase: MigrationPhase | 'all'
  seconds: number
}

/** A migration that ended badly, and what is known of it. */
export interface FailedMigration {
  /** Null where it failed before the first one, or between two. */
  id: string | null
  name: string | null
  phase: MigrationPhase | 'all'
  reason: string
  explanation: string | null
}

/** What was seen of one phase. */
export interface PhaseSeen {
  phase: MigrationPhase | 'all'
  /** From the start of the process to its end: the app is loaded, too. */
  seconds: number
  migrations: TimedMigration[]
  locks: LockSeen[]
  rewrites: Rewrite[]
  /** Why locks were not seen all the time. */
  unseen: string | null
  failed: FailedMigration | null
}

/**
 * Bytes of the scratch database before and after, and of the server's log meanwhile: on the live server with all that
 * others wrote.
 */
export interface DiskSeen {
  before: number
  after: number
  log: number | null
}

/** What the real upgrade will be, as far as the rehearsal tells. */
export interface Forecast {
  mayGoAhead: boolean
  /** Seconds of the migrations. The restart comes on top. */
  migrationSeconds: number
  /** Seconds of a backup, as the last one took; null where none was made yet. */
  backupSeconds: number | null
  /** Seconds in which nobody is served besides the restart: none in two phases. */
  stoppedSeconds: number
  /** Bytes by which the database and its log grow together. */
  diskBytes: number
}

export interface RehearsalResult {
  from: string
  to: string
  phases: 'two' | 'single'
  in: RehearsedIn
  /** What was migrated: a backup, by name and time, or a dump that was made for it. */
  source: { backup: string | null; at: string; bytes: number }
  ok: boolean
  /** Why not, where not. */
  why: string | null
  failed: FailedMigration | null
  migrations: TimedMigration[]
  /** Locks that others wait for, the longest first. */
  locks: LockSeen[]
  rewrites: Rewrite[]
  disk: DiskSeen
  /** Why locks were not seen all the time; null where they were. */
  unseen: string | null
  /** The other databases that the role of the rehearsal could connect to, as everybody may. */
  mayConnectTo: string[]
  forecast: Forecast
}

/**
 * Returns the newest proven backup that can be rehearsed with, or null and why a dump is made instead: there is none, it is
 * encrypted, or it is of another schema than the database has now.
 */
export async function backupToRehearse(toolbox: Toolbox): Promise<{ backup: StoredBackup | null; why: string }> {
  const backup = await namedBackup(toolbox, 'latest').catch(refusedOnly)
  if (backup === null) return { backup, why: 'there is no proven backup yet' }
  const { files, schema } = backup.manifest
  const isSealed = files.some(({ part, encrypted }) => part === 'database' && encrypted)
  if (isSealed) return { backup: null, why: `${backup.name} is encrypted` }
  const now = [...(await appliedMigrations(toolbox))].sort().join()
  if ([...schema.versions].sort().join() === now) return { backup, why: '' }
  return { backup: null, why: `${backup.name} has another schema than the database has now` }
}

function refusedOnly(error: unknown): null {
  if (error instanceof RefusedError) return null
  throw error
}
