import { RefusedError } from '../errors.js'
import { humanBytes } from '../text.js'
import type { Toolbox } from '../toolbox.js'

/** A second database needs as much as the first, and what its indexes need while they are built. */
const FACTOR = 1.3

/**
 * Refuses what needs a second database where the server's disk has less than 1.3 times its size free. Where the
 * backend cannot tell, the operator is told so.
 */
export async function refuseWithoutRoom(toolbox: Toolbox, bytes: number): Promise<void> {
  const disks = (await toolbox.backend.storage?.disk()) ?? []
  const disk = disks.find(({ place }) => place === 'database')
  const needed = Math.ceil(bytes * FACTOR)
  if (disk === undefined) {
    toolbox.output.info(
      `About ${humanBytes(needed)} are needed on the database's disk; how much is free cannot be seen.`,
    )
    return
  }
  if (disk.freeBytes >= needed) return
  throw new RefusedError({
    code: 'no-room',
    message: 'There is not enough room for a second database.',
    cause: `${humanBytes(needed)} are needed in ${disk.path}, ${humanBytes(disk.freeBytes)} are free.`,
    next: 'Make room on the database’s disk, then run the command again.',
  })
}
