import { isUtf8 } from 'node:buffer'
import { DumpProblem } from './dump-problem.js'

const [NUL, TAB, LF, CR, SPACE, DOT, N, BACKSLASH] = [0, 9, 10, 13, 32, 46, 78, 92]
/** Of a row that is given to `onRow`. */
const LONGEST_HELD = 1024 * 1024
/** Where in the data: a number, for it is asked of every byte. */
const [ROW, FIELD, INSIDE, ESCAPE, ROW_ESCAPE, FIELD_ESCAPE, AFTER_NULL, END] = [0, 1, 2, 3, 4, 5, 6, 7]
/** What COPY TO writes after a backslash in its text format (PostgreSQL, src/backend/commands/copyto.c). */
const ESCAPES = new Set(Buffer.from('bfnrtv\\'))

/**
 * The data of one COPY, up to its `\.`; nothing in it is ever read as SQL.
 *
 * Checks what COPY TO keeps to: as many fields in every row as there are columns, escapes that exist, `\N` alone in
 * its field, no bare carriage return, no NUL, letters in UTF-8. Keeps none of it, however long a row is.
 */
export class CopyData {
  rows = 0
  ended = false
  readonly #columns: number
  readonly #onRow: ((row: string) => void) | undefined
  #tabs = 0
  #empty = true
  #place: number = ROW
  /** Of a letter that goes on in the next chunk. */
  #partOfLetter: Buffer = Buffer.alloc(0)
  #row: Buffer[] = []

  /** `onRow` is given every row: only for small tables. */
  constructor(columns: number, onRow?: (row: string) => void) {
    this.#columns = columns
    this.#onRow = onRow
  }

  /** Takes bytes from `from` on and returns the place after them, or after the end of the data. @throws DumpProblem */
  take(chunk: Buffer, from: number): number {
    let at = from
    let rowFrom = from
    while (at < chunk.length && !this.ended) {
      const byte = chunk[at] ?? 0
      at += 1
      if (byte === LF) {
        this.#endRow(chunk, rowFrom, at - 1)
        rowFrom = at
      } else if (byte < SPACE || byte === BACKSLASH || this.#place !== INSIDE) this.#byte(byte)
    }
    this.#checkLetters(chunk.subarray(from, at))
    if (this.#onRow && !this.ended) this.#holdRow(chunk.subarray(rowFrom, at))
    return at
  }

  #holdRow(part: Buffer): void {
    this.#row.push(Buffer.from(part))
    const held = this.#row.reduce((sum, { length }) => sum + length, 0)
    if (held > LONGEST_HELD) throw new DumpProblem('strange', 'a row of schema_migrations is longer than 1 MiB.')
  }

  #byte(byte: number): void {
    const place = this.#place
    this.#empty = false
    if (byte === NUL) throw new DumpProblem('damaged', 'a NUL byte stands in the data.')
    if (byte === CR) throw new DumpProblem('damaged', 'a carriage return stands in the data.')
    if (place === END) throw new DumpProblem('damaged', 'the end of the data does not stand alone.')
    if (place >= ESCAPE && place <= FIELD_ESCAPE) this.#escaped(byte, place)
    else if (byte === TAB) this.#endField()
    else if (place === AFTER_NULL) throw new DumpProblem('damaged', '\\N does not stand alone in its field.')
    else if (byte === BACKSLASH) this.#place = place === ROW ? ROW_ESCAPE : place === FIELD ? FIELD_ESCAPE : ESCAPE
    else this.#place = INSIDE
  }

  #escaped(byte: number, place: number): void {
    if (byte === DOT && place === ROW_ESCAPE) this.#place = END
    else if (byte === N && place !== ESCAPE) this.#place = AFTER_NULL
    else if (ESCAPES.has(byte)) this.#place = INSIDE
    else throw new DumpProblem('damaged', 'an escape in the data is none that COPY writes.')
  }

  #endField(): void {
    this.#tabs += 1
    this.#place = FIELD
  }

  #endRow(chunk: Buffer, from: number, to: number): void {
    if (this.#place >= ESCAPE && this.#place <= FIELD_ESCAPE)
      throw new DumpProblem('damaged', 'a row ends with a backslash.')
    if (this.#place === END) this.ended = true
    else this.#countRow(chunk, from, to)
    this.#place = ROW
    this.#tabs = 0
    this.#empty = true
  }

  #countRow(chunk: Buffer, from: number, to: number): void {
    const fields = this.#columns === 0 && this.#empty ? 0 : this.#tabs + 1
    if (fields !== this.#columns)
      throw new DumpProblem('damaged', `a row has ${fields} fields, and the table ${this.#columns} columns.`)
    this.rows += 1
    if (!this.#onRow) return
    this.#onRow(Buffer.concat([...this.#row, chunk.subarray(from, to)]).toString('latin1'))
    this.#row = []
  }

  #checkLetters(bytes: Buffer): void {
    const all = this.#partOfLetter.length > 0 ? Buffer.concat([this.#partOfLetter, bytes]) : bytes
    const whole = this.ended ? all.length : wholeLetters(all)
    if (!isUtf8(all.subarray(0, whole))) throw new DumpProblem('damaged', 'the data before it are not in UTF-8.')
    this.#partOfLetter = Buffer.from(all.subarray(whole))
  }
}

/** Returns how many of the bytes are whole letters: a letter has at most four, the first of which tells how many. */
function wholeLetters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0
    if (byte < 0x80) return bytes.length
    if (byte >= 0xc0) return back < lettersOf(byte) ? bytes.length - back : bytes.length
  }
  return bytes.length
}

function lettersOf(first: number): number {
  if (first >= 0xf0) return 4
  return first >= 0xe0 ? 3 : 2
}
