import { open } from 'node:fs/promises'
import type { Writable } from 'node:stream'

/** Bytes that are read at once. */
const PIECE = 256 * 1024

/**
 * Writes a file to the standard input of a process. Two buffers are used by turns: a new one for each piece would wait for
 * the collector, a hundred of them at a time. The process's stream tells that a piece was written when the system has it,
 * which no stream of ours between them would.
 *
 * @throws the error of the stream, or of the disk; the stream is left open then.
 */
export async function sendFile(path: string, into: Writable, onProgress?: (bytes: number) => void): Promise<void> {
  const buffers = [Buffer.allocUnsafeSlow(PIECE), Buffer.allocUnsafeSlow(PIECE)] as const
  const file = await open(path)
  try {
    let writing = Promise.resolve()
    for (let [bytes, turn]: [number, 0 | 1] = [0, 0]; ; turn = turn === 0 ? 1 : 0) {
      const { bytesRead } = await file.read(buffers[turn], 0, PIECE)
      await writing
      if (bytesRead === 0) break
      writing = written(into, buffers[turn].subarray(0, bytesRead))
      writing.catch(() => undefined)
      bytes += bytesRead
      onProgress?.(bytes)
    }
  } finally {
    await file.close()
  }
  await new Promise<void>((resolve, reject) => {
    into.once('error', reject)
    into.end(() => resolve())
  })
}

function written(into: Writable, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => into.write(piece, error => (error ? reject(error) : resolve())))
}
