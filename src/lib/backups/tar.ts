import { Transform, type TransformCallback } from 'node:stream'
import { RefusedError } from '../errors.js'
import { printableLine } from '../text.js'

/** An entry of a tar archive. */
export interface TarEntry {
  name: string
  kind: 'file' | 'folder' | 'hard link' | 'symbolic link' | 'other'
  /** Bytes of its content. */
  size: number
  /** Where a link leads. */
  link: string
}

const BLOCK = 512
/** Names and other additions that come as an entry of their own are read whole; no real one is near this. */
const MOST_ADDITION = 1024 * 1024
const KINDS: Readonly<Record<string, TarEntry['kind']>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hard link',
  '2': 'symbolic link',
  '5': 'folder',
}

/**
 * Returns a stream that passes an archive on and tells each entry on the way. It fails where the archive is damaged or
 * its end is missing; an error that `onEntry` throws ends it too. Source: POSIX.1-2017, pax; GNU tar 1.34, tar.h.
 */
export function tarWatch(onEntry: (entry: TarEntry) => void): Transform {
  return new TarWatch(onEntry)
}

/** Returns why an entry must not be unpacked, or undefined. A backup's archive holds no symbolic links. */
export function entryProblem({ name, kind, link }: TarEntry): string | undefined {
  if (kind === 'symbolic link' || kind === 'other') return `${printableLine(name)} is neither a file nor a folder.`
  if (leadsOut(name)) return `${printableLine(name)} leads out of the folder.`
  if (kind === 'hard link' && leadsOut(link)) return `${printableLine(name)} is a link out of the folder.`
  return undefined
}

function leadsOut(name: string): boolean {
  return name === '' || name.startsWith('/') || name.split('/').includes('..')
}

/** What stands before the entry that it is about. */
interface Additions {
  name?: string
  link?: string
  size?: number
}

class TarWatch extends Transform {
  readonly #onEntry: (entry: TarEntry) => void
  readonly #block = Buffer.alloc(BLOCK)
  #filled = 0
  /** Bytes of content, with padding, that are passed over. */
  #skip = 0
  /** The content of an addition, while it is collected. */
  #addition: { type: string; bytes: Buffer; filled: number } | undefined
  #additions: Additions = {}
  #over = false

  constructor(onEntry: (entry: TarEntry) => void) {
    super()
    this.#onEntry = onEntry
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      for (let at = 0; at < chunk.length && !this.#over; ) at += this.#take(chunk, at)
      done(null, chunk)
    } catch (error) {
      done(error as Error)
    }
  }

  override _flush(done: TransformCallback): void {
    done(this.#over ? null : damaged('Its end is missing.'))
  }

  /** Returns how many bytes it took from the chunk. */
  #take(chunk: Buffer, at: number): number {
    if (this.#skip > 0) {
      const count = Math.min(this.#skip, chunk.length - at)
      this.#collect(chunk, at, count)
      this.#skip -= count
      if (this.#skip === 0) this.#added()
      return count
    }
    const count = chunk.copy(this.#block, this.#filled, at, at + BLOCK - this.#filled)
    this.#filled += count
    if (this.#filled === BLOCK) this.#header(this.#block)
    return count
  }

  #header(block: Buffer): void {
    this.#filled = 0
    if (block.every(byte => byte === 0)) {
      this.#over = true
      return
    }
    if (numberIn(block, 148, 8) !== checksum(block)) throw damaged('A header in it was changed.')
    const type = String.fromCharCode(block[156] ?? 0)
    const written = numberIn(block, 124, 12)
    const size = 'LKxg'.includes(type) ? this.#beginAddition(type, written) : this.#tell(block, type, written)
    this.#skip = Math.ceil(size / BLOCK) * BLOCK
    if (this.#skip === 0) this.#added()
  }

  /** Returns the bytes of content that follow: links and folders have none, whatever their header says. */
  #tell(block: Buffer, type: string, written: number): number {
    const { name = nameIn(block), link = textIn(block, 157, 100), size = written } = this.#additions
    // Folders of the oldest format are known by their names alone.
    const kind = KINDS[type] === 'file' && name.endsWith('/') ? 'folder' : (KINDS[type] ?? 'other')
    const content = kind === 'file' || kind === 'other' ? size : 0
    this.#additions = {}
    this.#onEntry({ name, kind, size: content, link })
    return content
  }

  #beginAddition(type: string, size: number): number {
    if (size > MOST_ADDITION) throw damaged('A name in it has no end.')
    this.#addition = { type, bytes: Buffer.alloc(size), filled: 0 }
    return size
  }

  #collect(chunk: Buffer, at: number, count: number): void {
    const addition = this.#addition
    if (addition) addition.filled += chunk.copy(addition.bytes, addition.filled, at, at + count)
  }

  #added(): void {
    const addition = this.#addition
    if (addition === undefined) return
    this.#addition = undefined
    const { type, bytes } = addition
    if (type === 'L') this.#additions.name = textIn(bytes, 0, bytes.length)
    else if (type === 'K') this.#additions.link = textIn(bytes, 0, bytes.length)
    else if (type === 'x') Object.assign(this.#additions, paxAdditions(bytes))
  }
}

function nameIn(block: Buffer): string {
  const name = textIn(block, 0, 100)
  // GNU's own format has other things where POSIX keeps the folder.
  const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? textIn(block, 345, 155) : ''
  return prefix === '' ? name : `${prefix}/${name}`
}

function textIn(bytes: Buffer, from: number, length: number): string {
  const field = bytes.subarray(from, from + length)
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end < 0 ? field.length : end)
}

/** Octal digits, or for what is too large the number itself with the first bit set. */
function numberIn(block: Buffer, from: number, length: number): number {
  if (((block[from] ?? 0) & 0x80) !== 0) return block.readUIntBE(from + length - 6, 6)
  const digits = textIn(block, from, length).trim()
  if (!/^[0-7]*$/.test(digits)) throw damaged('A header in it was changed.')
  return Number.parseInt(digits || '0', 8)
}

/** The sum of all bytes, its own field taken for spaces. */
function checksum(block: Buffer): number {
  let sum = 8 * 32
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += block[at] ?? 0
  return sum
}

/** Lines of `LENGTH KEY=VALUE`, where the length counts itself and the newline. */
function paxAdditions(bytes: Buffer): Additions {
  const found: Additions = {}
  for (let at = 0; at < bytes.length; ) {
    const length = Number.parseInt(bytes.toString('latin1', at, at + 12), 10)
    if (!(length > 0) || at + length > bytes.length) throw damaged('A name in it cannot be read.')
    const [, key, value = ''] = /^\d+ ([^=]*)=([\s\S]*)\n$/.exec(bytes.toString('utf8', at, at + length)) ?? []
    if (key === 'path') found.name = value
    if (key === 'linkpath') found.link = value
    if (key === 'size') found.size = Number(value)
    at += length
  }
  return found
}

function damaged(cause: string): RefusedError {
  return new RefusedError({ code: 'archive-damaged', message: 'The archive is not whole.', cause })
}
