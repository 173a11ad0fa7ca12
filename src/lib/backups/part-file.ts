import { join } from 'node:path'
import type { Transform } from 'node:stream'
import type { ToolRun } from '../backends/backend.js'
import { type Attention, attended, unlessAborted } from './attended.js'
import type { BackupFile, FilePart } from './manifest.js'
import { type Sealing, writeStream } from './sink.js'

/** How a part of a backup is written. */
export interface PartOptions extends Attention {
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
  const sum = await attended(name, options, async ({ signal, heard }) => {
    try {
      const sum = await writeStream(run.stdout, join(dir, name), {
        ...{ signal, onPiece: heard, through: [watch, ...(seal ? [seal.stream()] : [])] },
        ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
        onProgress: bytes => onProgress?.(`${Math.round(bytes / 1e6)} MB`),
      })
      await unlessAborted(ended, signal)
      return sum
    } catch (error) {
      const cameToItsEnd = run.stdout.readableEnded && !signal.aborted
      if (!cameToItsEnd) run.kill()
      throw cameToItsEnd ? await reasonOf(unlessAborted(ended, signal), error) : error
    }
  })
  return { name, part, ...sum, encrypted: seal !== undefined, compression: 'none' }
}

/** What the script ended with tells more than the stream that broke. */
function reasonOf(ended: Promise<unknown>, error: unknown): Promise<unknown> {
  return ended.then(
    () => error,
    reason => reason,
  )
}
