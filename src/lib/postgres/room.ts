import { setTimeout as sleep } from 'node:timers/promises'
import type { DiskSpace } from '../backends/backend.js'
import { RefusedError } from '../errors.js'
import { humanBytes } from '../text.js'
import type { Toolbox } from '../toolbox.js'
import { endSessions, withMaintenance } from './scratch.js'

/** A second database needs as much as the first, and what its indexes need while they are built. */
const FACTOR = 1.3
/** What is written goes through the server's log as well, which grows to this (max_wal_size, PostgreSQL 9.5 and later). */
const LOG_BYTES = 1024 ** 3
/** Left free in any case: what may be written between two looks. */
const RESERVE_BYTES = 512 * 1024 ** 2
/** Milliseconds between two looks. */
const PAUSE_MS = 2_000

/**
 * Refuses what needs a second database where the server's disk has less than 1.3 times its size free, and what the
 * server's log takes meanwhile. Where the backend cannot tell, the operator is told so.
 */
export async function refuseWithoutRoom(toolbox: Toolbox, bytes: number): Promise<void> {
  const disk = await databaseDisk(toolbox)
  const needed = Math.ceil(bytes * FACTOR) + Math.min(bytes, LOG_BYTES) + RESERVE_BYTES
  if (disk === undefined) {
    toolbox.output.info(
      `About ${humanBytes(needed)} are needed on the database’s disk; how much is free cannot be seen.`,
    )
    return
  }
  if (disk.freeBytes < needed) throw noRoom('There is not enough room for a second database.', needed, disk)
}

/**
 * Does the work that fills a database beside the live one, and ends that database's sessions when the room on the
 * server's disk comes to its end. A server that has no room for its log stops, and does not start before there is some
 * (xlog.c, XLogFileInit; seen with 15.18): the live database would be gone with it.
 *
 * @throws RefusedError with the room that is left, in place of what the work then failed with.
 */
export async function whileRoom<T>(toolbox: Toolbox, database: string, work: () => Promise<T>): Promise<T> {
  const over = new AbortController()
  let lack: RefusedError | undefined
  const watching = watched(over.signal, async () => {
    const disk = await databaseDisk(toolbox)
    if (disk === undefined || disk.freeBytes >= RESERVE_BYTES) return
    lack = noRoom('The database’s disk is nearly full, and the server would stop.', RESERVE_BYTES, disk)
    await withMaintenance(toolbox, 'room', maintenance => endSessions(maintenance, database))
  })
  try {
    return await work()
  } catch (error) {
    throw lack ?? error
  } finally {
    over.abort()
    await watching
  }
}

/** Looks now and then until it is over. A look that fails tells nothing. */
async function watched(over: AbortSignal, look: () => Promise<void>): Promise<void> {
  while (!over.aborted) {
    await look().catch(() => undefined)
    await sleep(PAUSE_MS, undefined, { signal: over }).catch(() => undefined)
  }
}

/** Returns undefined where the backend cannot tell. */
async function databaseDisk({ backend }: Toolbox): Promise<DiskSpace | undefined> {
  return (await backend.storage?.disk())?.find(({ place }) => place === 'database')
}

function noRoom(message: string, needed: number, { path, freeBytes }: DiskSpace): RefusedError {
  return new RefusedError({
    code: 'no-room',
    message,
    cause: `${humanBytes(needed)} are needed in ${path}, ${humanBytes(freeBytes)} are free.`,
    next: 'Make room on the database’s disk, then run the command again.',
  })
}
