import { isUtf8 } from 'node:buffer'
import { CopyData } from './copy-data.js'
import { DumpProblem, problemOf } from './dump-problem.js'
import { connectedTo, Frame } from './frame.js'
import { commandName, Lexer, type Piece } from './lexer.js'
import type { DatabasePart, PartOfDump } from './part.js'
import { copyOf, insertOf, type RowsOf, tableOf, titleOf, verdictOf } from './statements.js'

const LF = 10
const LONGEST_LINE = 16 * 1024 * 1024
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])

/** What is read, and what of it is handed on. */
export interface ScanOptions {
  /** For messages. */
  path: string
  /** The dump is one of pg_dumpall. */
  cluster: boolean
  /** The database whose SQL is handed on, as {@link DatabasePart} names it; without it none is. */
  only?: { database: string | undefined }
}

/**
 * Reads a plain dump from its start to its end, once, and hands on the SQL of one database.
 *
 * What it hands on has no command for psql but `\.`, and nothing that concerns the server rather than the database. A
 * line and a statement are held, up to 16 MiB each, and no data.
 */
export class DumpScan {
  readonly #options: ScanOptions
  readonly #lexer = new Lexer()
  readonly #frame: Frame
  #copy: { data: CopyData; of: RowsOf; part: PartOfDump | undefined } | undefined
  #held: Buffer[] = []
  #lines = 0
  #lastLine = ''
  #out: Buffer[] = []

  constructor(options: ScanOptions) {
    this.#options = options
    this.#frame = new Frame(options.cluster)
  }

  /** Takes bytes and returns what of them is handed on. @throws RefusedError */
  take(chunk: Buffer): Buffer[] {
    return this.#told(() => {
      let at = 0
      while (at < chunk.length) at = this.#copy ? this.#data(chunk, at) : this.#text(chunk, at)
    })
  }

  /** Must be called after the last byte. @throws RefusedError where the dump does not end as a whole one does. */
  end(): void {
    this.#told(() => {
      if (this.#copy) throw new DumpProblem('cut', `it ends inside of the rows of ${this.#copy.of.table}.`)
      if (this.#held.length > 0 || this.#lexer.open) throw new DumpProblem('cut', 'it ends inside of a statement.')
      this.#frame.mustBeClosed()
      if (this.#lastLine !== '\n') throw new DumpProblem('cut', 'the empty line at its end is missing.')
    })
  }

  /** Returns what was found, of every database that has tables. */
  found(): DatabasePart[] {
    return this.#frame.parts.filter(part => part.hasTables).map(part => part.found())
  }

  #told(read: () => void): Buffer[] {
    this.#out = []
    try {
      read()
      return this.#out
    } catch (error) {
      if (!(error instanceof DumpProblem)) throw error
      throw problemOf(this.#options.path, this.#lines + (this.#copy ? this.#copy.data.rows + 1 : 0), error)
    }
  }

  #data(chunk: Buffer, from: number): number {
    const copy = this.#copy
    if (!copy) return from
    const next = copy.data.take(chunk, from)
    if (this.#handsOn(copy.part)) this.#out.push(chunk.subarray(from, next))
    if (copy.data.ended) this.#endData(copy)
    return next
  }

  #endData({ data, of, part }: { data: CopyData; of: RowsOf; part: PartOfDump | undefined }): void {
    part?.filled(of, data.rows, 'COPY')
    this.#lines += data.rows + 1
    this.#copy = undefined
  }

  #text(chunk: Buffer, from: number): number {
    const feed = chunk.indexOf(LF, from)
    const next = feed < 0 ? chunk.length : feed + 1
    this.#held.push(chunk.subarray(from, next))
    if (feed >= 0) this.#line(Buffer.concat(this.#held))
    else if (this.#held.reduce((sum, part) => sum + part.length, 0) > LONGEST_LINE)
      throw new DumpProblem('strange', 'a line is longer than 16 MiB.')
    return next
  }

  #line(bytes: Buffer): void {
    this.#held = []
    this.#lines += 1
    if (!isUtf8(bytes)) throw new DumpProblem('damaged', 'it is not in UTF-8.')
    if (bytes.includes(0)) throw new DumpProblem('damaged', 'a NUL byte stands in it.')
    const marked = this.#lines === 1 && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK)
    this.#lastLine = bytes.toString('latin1', marked ? 3 : 0)
    for (const piece of this.#lexer.line(this.#lastLine)) this.#piece(piece)
  }

  #piece(piece: Piece): void {
    if (piece.type === 'comment') this.#frame.comment(piece.text)
    else if (piece.type === 'command') this.#command(piece.text)
    else this.#statement(piece.text, piece.rows)
  }

  #command(text: string): void {
    const database = connectedTo(text)
    if (database !== undefined) this.#frame.connect(database)
    else if (!this.#frame.dropped(text)) throw new DumpProblem('command', `the command ${commandName(text)}.`)
  }

  #statement(text: string, rows: number): void {
    const part = this.#frame.part()
    if (/^COPY\b/i.test(text)) this.#beginCopy(text, part)
    else if (part) this.#judge(part, text, rows)
  }

  #judge(part: PartOfDump, text: string, rows: number): void {
    const verdict = verdictOf(text)
    if (verdict === 'refuse') this.#refuse(part, `${titleOf(text)} is nothing that is restored.`)
    else if (verdict !== 'pass') part.leaveOut(verdict.leftOut)
    else {
      this.#note(part, text, rows)
      this.#handOn(part, text)
    }
  }

  /** What another database holds is no reason against the one that is wanted. */
  #refuse(part: PartOfDump, what: string): void {
    if (this.#handsOn(part)) throw new DumpProblem('strange', what)
    part.strange ??= `Line ${this.#lines}: ${what}`
  }

  #note(part: PartOfDump, text: string, rows: number): void {
    const made = tableOf(text)
    if (made) part.made(made)
    const inserted = insertOf(text)
    if (!inserted) return
    this.#mustBeMade(part, inserted)
    part.filled(inserted, Math.max(rows, 1), 'INSERT')
    if (isMigrations(inserted)) part.versions.push(...[...text.matchAll(/\(E'(\d+)'\)/g)].map(found => found[1] ?? ''))
  }

  #beginCopy(text: string, part: PartOfDump | undefined): void {
    const of = copyOf(text)
    if (!of) throw new DumpProblem('strange', 'a COPY is not written as pg_dump does.')
    if (part) this.#mustBeMade(part, of)
    const onRow = part && isMigrations(of) ? (row: string) => part.versions.push(row) : undefined
    this.#copy = { data: new CopyData(of.columns, onRow), of, part }
    if (part) this.#handOn(part, text)
  }

  /** A dump of the data alone cannot go into an empty database. */
  #mustBeMade(part: PartOfDump, of: { schema: string; table: string }): void {
    if (!part.has(of)) this.#refuse(part, `rows of ${of.table}, a table that it does not make (--data-only).`)
  }

  #handOn(part: PartOfDump, text: string): void {
    if (this.#handsOn(part)) this.#out.push(Buffer.from(`${text}\n`, 'latin1'))
  }

  #handsOn(part: PartOfDump | undefined): boolean {
    const { only } = this.#options
    return only !== undefined && part !== undefined && part.database === only.database
  }
}

function isMigrations({ schema, table }: { schema: string; table: string }): boolean {
  return schema === 'public' && table === 'schema_migrations'
}
