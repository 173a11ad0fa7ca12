import { chmod, chown, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Replaces the file's content at once: readers see the old or the new, also after a crash. Mode and owner are kept.
 *
 * @throws the system's error when the folder cannot be written or the owner cannot be kept; the file is then untouched.
 */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const old = await stat(path)
  const temporary = join(dirname(path), `.${basename(path)}.mstdn-ops-${process.pid}`)
  try {
    await writeSynced(temporary, content)
    await chown(temporary, old.uid, old.gid)
    await chmod(temporary, old.mode & 0o7777)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

/** Writes a new file that only its owner may read, and brings it to the disk. */
export async function writeSynced(path: string, content: string | Uint8Array): Promise<void> {
  await rm(path, { force: true })
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Brings the names in a folder to the disk. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
