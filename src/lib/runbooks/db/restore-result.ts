import type { Toolbox } from '../../toolbox.js'
import { duePosts } from '../replace/due-posts.js'
import { goneMedia } from '../replace/gone-media.js'
import { type JobsAside, jobsAside, jobsReplayed } from '../replace/redis.js'
import { roomUnseen } from '../replace/room.js'
import { safetyBackup } from '../replace/safety-backup.js'
import type { ManagedWay } from './restore-managed.js'
import { staleSearch } from './restored.js'

export interface RestoreResult {
  /** What was restored. */
  backup: string
  /** ISO 8601: the state that the instance is in again; null where a dump of others does not tell. */
  stateOf: string | null
  rows: number
  /** The replaced database, or the backup of its last state, and until when it is kept. */
  kept: string
  keptAs: 'database' | ManagedWay['keptAs']
  keptUntil: string | null
  /** Milliseconds from the first stop until everything ran again; null where nothing was stopped. */
  stoppedFor: number | null
  /** Jobs of the replaced state that were not run, and the file that holds them. */
  jobsAside: JobsAside | null
  /** Whether they were put back, to be run in the restored state. */
  jobsReplayed: boolean
  /** Scheduled posts that were removed, for they were due since the backup was made; null where nobody looked. */
  duePosts: number | null
  feedsBuilt: boolean
  /** The command that fills the search index anew, where there is one; it knows the replaced state. */
  searchStale: string | null
  /** Cached media whose files are gone, or why that is not known; null where nobody looked. */
  goneMedia: ReturnType<typeof goneMedia>
  /** Why it was not seen all the time how much room the database's disk had; null where it was. */
  roomUnseen: string | null
}

/** What was restored, of a backup or of a dump that others made. */
type RestoredContent = Pick<RestoreResult, 'backup' | 'stateOf' | 'rows'>

/** Returns what the run has noted, together. @param way that of the platform, where it was gone */
export async function restoreResult(
  toolbox: Toolbox,
  content: RestoredContent,
  way: ManagedWay | undefined,
  noted: (key: string) => string | undefined,
): Promise<RestoreResult> {
  const stopped = noted('stopped-for')
  return {
    ...content,
    kept: (way?.keptAs === 'backup' ? safetyBackup(noted)?.name : noted('kept')) ?? '',
    keptAs: way?.keptAs ?? 'database',
    keptUntil: noted('kept-until') || null,
    stoppedFor: stopped === undefined ? null : Number(stopped),
    jobsAside: jobsAside(noted),
    jobsReplayed: jobsReplayed(noted),
    duePosts: duePosts(noted),
    feedsBuilt: noted('feeds') === 'built',
    searchStale: await staleSearch(toolbox),
    goneMedia: goneMedia(noted),
    roomUnseen: roomUnseen(noted),
  }
}

/** Returns how many rows the tables hold together. */
export function rowsIn(tables: readonly { rows: number }[]): number {
  return tables.reduce((sum, { rows }) => sum + rows, 0)
}
