import { Transform, type TransformCallback } from 'node:stream'
import { RefusedError } from '../errors.js'
import { Crc64 } from './crc64.js'

/** `REDIS` and four digits. */
const START = 9
/** The byte that ends the data, and the checksum of all before it. */
const END = 9
const END_OF_DATA = 0xff
/** The first version whose files end in a checksum: that of Redis 2.6, older than any that Mastodon ran on. */
const FIRST_VERSION = 5

/**
 * Returns a stream that passes a dump of Redis on. It fails where that is no dump, where its end is missing, or where its
 * own checksum tells that a byte is another; a server with `rdbchecksum no` writes zeros for it. Source: Redis 7.0, rdb.c.
 */
export function rdbWatch(): Transform {
  return new RdbWatch()
}

class RdbWatch extends Transform {
  readonly #crc = new Crc64()
  #start = Buffer.alloc(0)
  /** The last bytes so far, which the checksum does not count yet. */
  #last = Buffer.alloc(0)

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#start.length < START) {
      this.#start = Buffer.concat([this.#start, chunk.subarray(0, START - this.#start.length)])
    }
    this.#count(chunk)
    done(this.#start.length === START && !this.#isDump() ? noDump() : null, chunk)
  }

  override _flush(done: TransformCallback): void {
    done(this.#problem() ?? null)
  }

  /** The checksum covers the end marker, so that only the eight bytes of itself are held back. */
  #count(chunk: Buffer): void {
    const both = this.#last.length === 0 ? chunk : Buffer.concat([this.#last, chunk])
    const counted = Math.max(0, both.length - END)
    this.#crc.update(both.subarray(0, counted))
    this.#last = Buffer.from(both.subarray(counted))
  }

  #problem(): RefusedError | undefined {
    if (!this.#isDump()) return noDump()
    if (this.#last.length < END || this.#last[0] !== END_OF_DATA) return cutOff()
    const kept = this.#last.readBigUInt64LE(1)
    this.#crc.update(this.#last.subarray(0, 1))
    return kept === 0n || kept === this.#crc.value() ? undefined : changed()
  }

  #isDump(): boolean {
    const version = /^REDIS(\d{4})$/.exec(this.#start.toString('latin1'))?.[1]
    return version !== undefined && Number(version) >= FIRST_VERSION
  }
}

function noDump(): RefusedError {
  return damaged('It does not begin as Redis’ dumps do.')
}

function cutOff(): RefusedError {
  return damaged('Its end is missing.')
}

function changed(): RefusedError {
  return damaged('Its own checksum says that a byte of it is another.')
}

function damaged(cause: string): RefusedError {
  return new RefusedError({ code: 'redis-dump-damaged', message: 'The dump of Redis is not whole.', cause })
}
