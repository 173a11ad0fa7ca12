import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { RefusedError } from '../errors.js'
import { humanBytes } from '../text.js'
import type { BackupStore } from './store.js'

/** A dump without its indexes is at most about half of the database on disk; compressed it is far less. */
const OF_DATABASE = 0.5
/** How much a backup may be larger than the one before it. */
const GROWTH = 1.2

/**
 * Refuses a backup for which the store's disk has no room: by the size of the newest one, else by the database's, and by
 * the size of the media that come with it.
 *
 * @throws RefusedError with both figures.
 */
export async function refuseNoRoom(store: BackupStore, databaseBytes: number, mediaBytes = 0): Promise<void> {
  const newest = (await store.list()).backups[0]
  const before = newest?.manifest.files.find(file => file.part === 'database')?.bytes
  const needed = mediaBytes + Math.ceil(before === undefined ? databaseBytes * OF_DATABASE : before * GROWTH)
  const free = await freeBytes(store.dir)
  if (free >= needed) return
  throw new RefusedError({
    code: 'no-room',
    message: `There is not enough room for a backup in ${store.dir}.`,
    cause: `About ${humanBytes(needed)} are needed${ofMedia(mediaBytes)}, ${humanBytes(free)} are free.`,
    next: 'Make room (mstdn-ops db:prune), or name another folder under backups in mstdn-ops.yaml.',
  })
}

function ofMedia(bytes: number): string {
  return bytes === 0 ? '' : ` (${humanBytes(bytes)} of it for the media)`
}

/** Returns the free bytes of the disk that holds the folder, or would hold it. */
export async function freeBytes(dir: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(dir)
    return bavail * bsize
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(dir) === dir) throw error
    return freeBytes(dirname(dir))
  }
}
