import { setTimeout as sleep } from 'node:timers/promises'
import type { DiskSpace } from '../backends/backend.js'
import { messageOf, RefusedError } from '../errors.js'
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

/** Hears why nobody can tell how much room is left. */
export type OnUnseen = (why: string) => Promise<void>

/**
 * Refuses what needs a second database where the server's disk has less than 1.3 times its size free, and what the
 * server's log takes meanwhile. Where the backend cannot tell, the operator is told so.
 */
export async function refuseWithoutRoom(toolbox: Toolbox, bytes: number): Promise<void> {
  const needed = Math.ceil(bytes * FACTOR) + Math.min(bytes, LOG_BYTES) + RESERVE_BYTES
  const unseen = `About ${humanBytes(needed)} are needed on the database’s disk; how much is free cannot be seen`
  const disk = await databaseDisk(toolbox).catch((error: unknown) => ({ why: messageOf(error) }))
  if (disk === undefined) return toolbox.output.info(`${unseen}.`)
  if ('why' in disk) return toolbox.output.warn(`${unseen}: ${disk.why}`)
  if (disk.freeBytes < needed) throw noRoom('There is not enough room for a second database.', needed, disk)
}

/**
 * Does the work that fills a database beside the live one, and ends that database's sessions when the room on the
 * server's disk comes to its end. A server that has no room for its log stops, and does not start before there is some
 * (xlog.c, XLogFileInit; seen with 15.18): the live database would be gone with it.
 *
 * @param onUnseen told why a look failed, the first time; the looks go on
 * @throws RefusedError with the room that is left, in place of what the work then failed with.
 */
export async function whileRoom<T>(
  toolbox: Toolbox,
  database: string,
  work: () => Promise<T>,
  onUnseen: OnUnseen,
): Promise<T> {
  const over = new AbortController()
  let lack: RefusedError | undefined
  const watching = watched(over.signal, onUnseen, async () => {
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

/** Looks now and then until it is over. */
async function watched(over: AbortSignal, onUnseen: OnUnseen, look: () => Promise<void>): Promise<void> {
  let told = false
  while (!over.aborted) {
    await look().catch(async error => {
      if (!told) await onUnseen(messageOf(error)).catch(() => undefined)
      told = true
    })
    await sleep(PAUSE_MS, undefined, { signal: over }).catch(() => undefined)
  }
}

/** Returns undefined where the backend cannot tell. */
export async function databaseDisk({ backend }: Toolbox): Promise<DiskSpace | undefined> {
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
