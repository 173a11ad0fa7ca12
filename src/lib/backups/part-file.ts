import { join } from 'node:path'
import type { Transform } from 'node:stream'
import type { ToolRun } from '../backends/backend.js'
import type { BackupFile, FilePart } from './manifest.js'
import { type Sealing, writeStream } from './sink.js'

/** How a part of a backup is written. */
export interface PartOptions {
  dir: string
  seal?: Sealing
  bytesPerSecond?: number
  onProgress?: (text: string) => void
}

/** What comes out of a script, to be kept. */
export interface PartSource {
  part: FilePart
  /** Of the file, without what encryption adds. */
  name: string
  run: ToolRun
  /** @throws an error that says why the script failed. */
  ended: Promise<unknown>
  /** Looks at the bytes before they are encrypted, and fails where they are not whole. */
  watch: Transform
}

/**
 * Writes what a script prints into a file of the backup; it is on the disk when this returns.
 *
 * @throws the script's own reason where it came to its end, otherwise why its output could not be kept.
 */
export async function writePart(source: PartSource, options: PartOptions): Promise<BackupFile> {
  const { part, run, ended, watch } = source
  const { dir, seal, bytesPerSecond, onProgress } = options
  const name = `${source.name}${seal?.suffix ?? ''}`
  ended.catch(() => undefined)
  try {
    const sum = await writeStream(run.stdout, join(dir, name), {
      through: [watch, ...(seal ? [seal.stream()] : [])],
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
      onProgress: bytes => onProgress?.(`${Math.round(bytes / 1e6)} MB`),
    })
    await ended
    return { name, part, ...sum, encrypted: seal !== undefined, compression: 'none' }
  } catch (error) {
    const cameToItsEnd = run.stdout.readableEnded
    if (!cameToItsEnd) run.kill()
    throw cameToItsEnd
      ? await ended.then(
          () => error,
          reason => reason,
        )
      : error
  }
}
