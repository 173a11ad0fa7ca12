import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'

/** Where the bytes of a dump come from. */
export interface DumpSource {
  /** As the operator named it, for messages. */
  path: string
  /** Returns all bytes, from the start at each call; decrypted where the file is encrypted and a key was given. */
  open(): Promise<Readable>
}

/** Returns the stream of what was encrypted. */
export type Decrypt = (encrypted: Readable) => Readable | Promise<Readable>

/** How a file of age begins, and how one in its letters-only form does (C2SP age-encryption.org/v1). */
const AGE = ['age-encryption.org/v1', '-----BEGIN AGE ENCRYPTED FILE-----']

/** Whether this is the beginning of a file that age encrypted. */
export function isEncrypted(head: Buffer): boolean {
  return AGE.some(magic => head.subarray(0, magic.length).toString('latin1') === magic)
}

/** Returns the source of a file; `decrypt` is used only where the file is encrypted. */
export function fileSource(path: string, decrypt?: Decrypt): DumpSource {
  return {
    path,
    open: async () => {
      const encrypted = decrypt !== undefined && isEncrypted(await firstOfFile(path, 64))
      const bytes = createReadStream(path, { highWaterMark: 256 * 1024 })
      return encrypted ? decrypt(bytes) : bytes
    },
  }
}

async function firstOfFile(path: string, size: number): Promise<Buffer> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** Returns up to `size` bytes from the start. */
export async function headOf(source: DumpSource, size: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of await source.open()) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= size) break
  }
  return Buffer.concat(chunks).subarray(0, size)
}
