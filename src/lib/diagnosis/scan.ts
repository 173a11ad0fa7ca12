import { anyWord } from '../mastodon/known-problems.js'
import { withoutEscapes } from './log-line.js'
import type { Tally } from './tally.js'

/** Characters: a line without an end is taken in parts of this length. */
const LONGEST_LINE = 1024 * 1024
/** Characters around what was found that are looked at: a message is shorter, and expressions stay quick. */
const AROUND = 1_000

/** How much was read. */
export interface Scanned {
  bytes: number
  lines: number
}

/**
 * Reads a log of any size and counts what it shows. One pass looks for the words of every known problem; only a line
 * that has one is looked at closely. Bytes are taken one by one, so that no encoding stops it.
 */
export async function scanLog(log: AsyncIterable<Buffer | string>, source: string, tally: Tally): Promise<Scanned> {
  const scan = new Scan(source, tally)
  for await (const chunk of log) scan.chunk(typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
  return scan.end()
}

class Scan {
  readonly #words = anyWord()
  readonly #source: string
  readonly #tally: Tally
  #rest = ''
  #lines = 0
  #bytes = 0

  constructor(source: string, tally: Tally) {
    this.#source = source
    this.#tally = tally
  }

  chunk(bytes: Buffer): void {
    this.#bytes += bytes.length
    const text = this.#rest + bytes.toString('latin1')
    const cut = text.lastIndexOf('\n') + 1
    if (cut > 0) this.#piece(text.slice(0, cut))
    this.#rest = text.slice(cut)
    if (this.#rest.length < LONGEST_LINE) return
    this.#piece(this.#rest)
    this.#rest = ''
  }

  end(): Scanned {
    if (this.#rest !== '') {
      this.#piece(this.#rest)
      this.#lines += 1
    }
    return { bytes: this.#bytes, lines: this.#lines }
  }

  /** Looks for words, and counts lines on the way. */
  #piece(coloured: string): void {
    const piece = withoutEscapes(coloured)
    let start = 0
    let end = endOfLine(piece, 0)
    this.#words.lastIndex = 0
    for (let hit = this.#words.exec(piece); hit !== null; hit = this.#words.exec(piece)) {
      while (end < hit.index) {
        this.#lines += 1
        start = end + 1
        end = endOfLine(piece, start)
      }
      this.#hit(piece.slice(start, end), hit.index - start)
      this.#words.lastIndex = Math.min(end, hit.index + AROUND)
    }
    for (; end < piece.length; end = endOfLine(piece, end + 1)) this.#lines += 1
  }

  #hit(line: string, at: number): void {
    const long = line.length > 2 * AROUND
    const part = long ? line.slice(Math.max(0, at - AROUND), at + AROUND) : line
    const text = Buffer.from(part, 'latin1').toString('utf8')
    this.#tally.line(text, { source: this.#source, line: this.#lines + 1 })
  }
}

/** Returns where the line ends that begins there: at its newline, or at the end of all. */
function endOfLine(piece: string, start: number): number {
  const at = piece.indexOf('\n', start)
  return at < 0 ? piece.length : at
}
