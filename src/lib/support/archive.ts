import { open, rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { messageOf, UsageError } from '../errors.js'

/** A file for an archive. */
export interface ArchiveFile {
  /** At most 100 characters of ASCII. */
  name: string
  text: string | Uint8Array
}

const BLOCK = 512

/** Returns the files as a tar archive, compressed (POSIX.1-1988 ustar). */
export async function archiveOf(folder: string, files: readonly ArchiveFile[], now: Date): Promise<Buffer> {
  const blocks = files.flatMap(({ name, text }) => {
    const content = typeof text === 'string' ? Buffer.from(text) : Buffer.from(text)
    const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)
    return [headerOf(`${folder}/${name}`, content.length, now), content, padding]
  })
  return promisify(gzip)(Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]))
}

function headerOf(name: string, size: number, now: Date): Buffer {
  const header = Buffer.alloc(BLOCK)
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`
  header.write(name, 0, 100, 'ascii')
  header.write(octal(0o600, 8) + octal(0, 8) + octal(0, 8) + octal(size, 12), 100)
  header.write(octal(Math.floor(now.getTime() / 1000), 12), 136)
  // The sum counts its own field as spaces.
  header.write('        0', 148)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

/**
 * Makes a new file that only its owner may read, and fills it; where that fails, it is removed.
 *
 * @throws UsageError when there is one of this name, or it cannot be made.
 */
export async function writeNew(path: string, content: () => Promise<Buffer>): Promise<void> {
  const file = await open(path, 'wx', 0o600).catch(error => {
    throw notWritten(path, error)
  })
  try {
    await file.writeFile(await content())
    await file.close()
  } catch (error) {
    await file.close().catch(() => undefined)
    await rm(path, { force: true })
    throw error
  }
}

function notWritten(path: string, error: unknown): UsageError {
  return new UsageError({
    code: 'bundle-not-written',
    message: `${path} cannot be written.`,
    cause: messageOf(error),
    next: 'Name another file with --output.',
  })
}
