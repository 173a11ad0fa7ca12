/** The beginning of pg_dump's custom format. Source: PostgreSQL, src/bin/pg_dump/pg_backup_archiver.c (ReadHead). */
export interface ArchiveHeader {
  /** Of the format: 1.14 for PostgreSQL 12 to 15, 1.15 for 16, 1.16 from 17 on. */
  version: string
  compression: 'none' | 'gzip' | 'lz4' | 'zstd'
  /** In the time zone of the machine that made it, as `YYYY-MM-DDTHH:MM:SS`. */
  createdAt: string
  database: string
  /** The server's version as it names itself: `15.18 (Debian 15.18-0+deb12u1)`. */
  server: string
  /** The version of pg_dump. */
  dumpedBy: string
  /** How many objects its table of contents announces. */
  entries: number
}

/** What the header says that makes it no dump that can be used. */
export class HeaderProblem extends Error {
  constructor(
    readonly kind: 'cut' | 'damaged' | 'too-old' | 'too-new' | 'part',
    message: string,
  ) {
    super(message)
  }
}

export const ARCHIVE_MAGIC = 'PGDMP'
const CUSTOM = 1
/** Of the table of contents in a tar archive, and in a folder as well (pg_backup_directory.c). */
const TAR = 3
const METHODS = ['none', 'gzip', 'lz4', 'zstd'] as const
/** The oldest that names the server's version (PostgreSQL 8.0), and the newest that is known (PostgreSQL 18). */
const OLDEST = 10
const NEWEST = 16
/** From then on the method is written instead of the level. */
const NAMES_METHOD = 15
const LONGEST_TEXT = 1024

/** Reads the header. @throws HeaderProblem for what is cut, damaged, of another format or of an unknown version. */
export function archiveHeader(head: Buffer): ArchiveHeader {
  const reader = new Reader(head)
  reader.skip(ARCHIVE_MAGIC.length)
  const minor = versionOf(reader)
  sizesOf(reader)
  refuseOtherFormats(reader.byte())
  const compression = minor >= NAMES_METHOD ? methodOf(reader.byte()) : levelOf(reader.int())
  const createdAt = timeOf(Array.from({ length: 7 }, () => reader.int()))
  const [database, server, dumpedBy] = [reader.text(), versionText(reader.text()), versionText(reader.text())]
  const entries = reader.int()
  if (entries <= 0 || entries > 10_000_000) throw wrong(`its table of contents announces ${entries} entries`)
  return { version: `1.${minor}`, compression, createdAt, database, server, dumpedBy, entries }
}

function versionOf(reader: Reader): number {
  const [major, minor] = [reader.byte(), reader.byte(), reader.byte()]
  if (major !== 1) throw wrong(`its format is version ${major}`)
  if (minor < OLDEST) throw new HeaderProblem('too-old', `Its format is version 1.${minor}, older than PostgreSQL 8.0.`)
  if (minor > NEWEST) throw new HeaderProblem('too-new', `Its format is version 1.${minor}, newer than PostgreSQL 18.`)
  return minor
}

/** Of a number and of a place in the file, in bytes: 4 and 8 on every machine that Mastodon runs on. */
function sizesOf(reader: Reader): void {
  const [int, offset] = [reader.byte(), reader.byte()]
  if (int !== 4 || offset !== 8) throw wrong(`it counts with numbers of ${int} and ${offset} bytes`)
}

function refuseOtherFormats(code: number): void {
  if (code === CUSTOM) return
  if (code !== TAR) throw wrong(`it is of the unknown format ${code}`)
  throw new HeaderProblem('part', 'It is the table of contents alone, of a dump in directory or tar format.')
}

function methodOf(code: number): ArchiveHeader['compression'] {
  const method = METHODS[code]
  if (method === undefined) throw wrong(`it is compressed by the unknown method ${code}`)
  return method
}

/** -1 is zlib's default. */
function levelOf(level: number): ArchiveHeader['compression'] {
  if (level < -1 || level > 9) throw wrong(`it is compressed with level ${level}`)
  return level === 0 ? 'none' : 'gzip'
}

/** The fields of C's `struct tm`: the year counts from 1900, the month from 0. */
function timeOf(fields: readonly number[]): string {
  const [second = 0, minute = 0, hour = 0, day = 0, month = 0, year = 0] = fields
  const parts = [year + 1900, month + 1, day, hour, minute, Math.min(second, 59)]
  const [date, time] = [parts.slice(0, 3).map(padded).join('-'), parts.slice(3).map(padded).join(':')]
  const text = `${date}T${time}`
  const read = new Date(`${text}Z`)
  if (Number.isNaN(read.getTime()) || read.toISOString().slice(0, 19) !== text) throw wrong('its time is none')
  return text
}

function padded(part: number): string {
  return String(part).padStart(2, '0')
}

function versionText(text: string): string {
  if (!/^\d+(\.\d+|devel|beta\d|rc\d)/.test(text)) throw wrong('the version of the server or of pg_dump is none')
  return text
}

function wrong(what: string): HeaderProblem {
  return new HeaderProblem('damaged', `Its header is damaged: ${what}.`)
}

/** Reads what pg_dump wrote: numbers are a byte for the sign and four for the amount, the lowest first. */
class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  skip(count: number): void {
    this.#at += count
  }

  byte(): number {
    const value = this.#bytes[this.#at]
    if (value === undefined) throw new HeaderProblem('cut', 'It ends inside of its header.')
    this.#at += 1
    return value
  }

  int(): number {
    const sign = this.byte()
    if (sign > 1) throw wrong('a number has no sign')
    const amount = [0, 8, 16, 24].reduce((sum, shift) => sum + this.byte() * 2 ** shift, 0)
    return sign === 1 ? -amount : amount
  }

  text(): string {
    const length = this.int()
    if (length < 0 || length > LONGEST_TEXT) throw wrong(`a text has ${length} bytes`)
    const text = Buffer.from(Array.from({ length }, () => this.byte())).toString('utf8')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they stand in no name of a database or version
    if (/[\u0000-\u001f\u007f\ufffd]/.test(text)) throw wrong('a text has unprintable letters')
    return text
  }
}
