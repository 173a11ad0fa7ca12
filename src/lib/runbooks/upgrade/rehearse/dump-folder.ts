import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { freeBytes } from '../../../backups/room.js'
import { RefusedError } from '../../../errors.js'
import { runsDir } from '../../../paths.js'
import { humanBytes } from '../../../text.js'
import type { Toolbox } from '../../../toolbox.js'

const ENDING = '.rehearsal'
/** A dump without its indexes is at most about half of the database on disk. */
const OF_DATABASE = 0.5

/** Makes the folder of a dump that is rehearsed with, for this user alone, and returns its path. */
export async function dumpFolder({ instance }: Pick<Toolbox, 'instance'>, runId: string): Promise<string> {
  const dir = join(runsDir(instance.name), `${runId}${ENDING}`)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  return dir
}

/** Removes the dumps of all rehearsals of the instance: the lock tells that no other one is under way. */
export async function clearDumps({ instance }: Pick<Toolbox, 'instance'>): Promise<void> {
  const dir = runsDir(instance.name)
  const names = (await readdir(dir)).filter(name => name.endsWith(ENDING))
  for (const name of names) await rm(join(dir, name), { recursive: true, force: true })
}

/** @throws RefusedError where less is free there than half of the database. */
export async function refuseWithoutRoomForDump({ instance }: Pick<Toolbox, 'instance'>, bytes: number): Promise<void> {
  const dir = runsDir(instance.name)
  const [needed, free] = [Math.ceil(bytes * OF_DATABASE), await freeBytes(dir)]
  if (free >= needed) return
  throw new RefusedError({
    code: 'no-room',
    message: `There is not enough room in ${dir} for the dump that is rehearsed with.`,
    cause: `About ${humanBytes(needed)} are needed, ${humanBytes(free)} are free.`,
    next: 'Make room there, or let XDG_STATE_HOME name another folder.',
  })
}
