import { stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Toolbox } from '../toolbox.js'

/**
 * Returns whether the folder lies on the same disk as the database, or null where that cannot be known: where the
 * database is no folder of this machine, or its server does not tell.
 */
export async function onDatabaseDisk(toolbox: Pick<Toolbox, 'backend'>, folder: string): Promise<boolean | null> {
  try {
    const source = await databaseFolder(toolbox)
    return source === undefined ? null : (await deviceOf(source)) === (await deviceOf(folder))
  } catch {
    return null
  }
}

/**
 * A path says nothing of the machine that it is on: the engine may be on another. So the disk under it must be as
 * large as the one that the server sees.
 */
async function databaseFolder({ backend }: Pick<Toolbox, 'backend'>): Promise<string | undefined> {
  const isDatabase = ({ place }: { place: string }) => place === 'database'
  const source = (await backend.storage?.volumes())?.find(isDatabase)?.source
  if (source === undefined) return undefined
  const seen = (await backend.storage?.disk())?.find(isDatabase)?.totalBytes
  const { blocks, bsize } = await statfs(source)
  return seen === blocks * bsize ? source : undefined
}

/** Of the folder, or of the nearest one above it that is there. */
async function deviceOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined)
  if (found) return found.dev
  if (path === dirname(path)) throw new Error(`${path} is not there`)
  return deviceOf(dirname(path))
}
