import { damaged } from './problems.js'
import type { DumpSource } from './source.js'

const LF = 10
const CR = 13
/** In whole compressed data one line feed in 256 follows a carriage return: three in a row are no chance. */
const PROOF = 3

/**
 * Whether a terminal put a carriage return before every line feed of these bytes, as `docker exec -t` does.
 *
 * Reads on only as long as that may be so: of a whole file some hundred bytes.
 */
export async function wentThroughTerminal(source: DumpSource): Promise<boolean> {
  let before = 0
  let feeds = 0
  for await (const chunk of await source.open()) {
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
      if ((at === 0 ? before : chunk[at - 1]) !== CR) return false
      feeds += 1
      if (feeds > 1000) return true
    }
    before = chunk.at(-1) ?? before
  }
  return feeds >= PROOF
}

/**
 * Takes the carriage return before each line feed away: what a terminal did to text, exactly undone.
 *
 * @throws RefusedError at a line feed without one: then the file was changed by something else, too.
 */
export async function* mended(path: string, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held = false
  for await (const next of bytes) {
    const chunk: Buffer = held ? Buffer.concat([Buffer.from([CR]), next]) : next
    held = chunk.at(-1) === CR
    yield withoutReturns(path, held ? chunk.subarray(0, -1) : chunk)
  }
  if (held) yield Buffer.from([CR])
}

function withoutReturns(path: string, chunk: Buffer): Buffer {
  const out = Buffer.allocUnsafe(chunk.length)
  let length = 0
  let from = 0
  for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
    if (chunk[at - 1] !== CR) throw damaged(path, 'Some of its lines end with a carriage return, and some do not.')
    length += chunk.copy(out, length, from, at - 1)
    from = at
  }
  length += chunk.copy(out, length, from)
  return out.subarray(0, length)
}
