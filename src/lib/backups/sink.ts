import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { type Readable, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** A file as it lies on the disk. */
export interface Written {
  bytes: number
  sha256: string
}

/** An encryption of files. */
export interface Sealing {
  /** What the names of encrypted files end in. */
  suffix: string
  stream(): Transform
}

export interface SinkOptions {
  /** Gets every byte of the source too, and slows it down where it is slower. */
  beside?: Writable
  /** Between the source and the file, like an encryption. */
  through?: readonly Transform[]
  /** The most bytes a second that are taken from the source. */
  bytesPerSecond?: number
  /** Called with each piece that was passed on. */
  onPiece?: () => void
  /** Ends the writing when it is aborted; the file stays as it is then. */
  signal?: AbortSignal
  /** Told about once a second. */
  onProgress?: (bytes: number) => void
}

/** Writes all that comes into a new file for its owner alone; it is on the disk when this returns. */
export async function writeStream(source: Readable, path: string, options: SinkOptions = {}): Promise<Written> {
  const meter = meterOf(options)
  const sum = checksum()
  const file = await open(path, 'wx', 0o600)
  try {
    const { through = [], signal } = options
    await pipeline([source, meter, ...through, sum.stream, into(file)], signal === undefined ? {} : { signal })
    await file.sync()
    return sum.written()
  } finally {
    await file.close()
  }
}

/**
 * Returns what the file is now, read anew. One buffer serves all of it: a stream leaves much for the collector.
 *
 * @throws the signal's reason where it is aborted before the end.
 */
export async function readSum(path: string, signal?: AbortSignal): Promise<Written> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(256 * 1024)
  const file = await open(path)
  try {
    for (let bytes = 0; ; ) {
      signal?.throwIfAborted()
      const { bytesRead } = await file.read(buffer)
      if (bytesRead === 0) return { bytes, sha256: hash.digest('hex') }
      hash.update(buffer.subarray(0, bytesRead))
      bytes += bytesRead
    }
  } finally {
    await file.close()
  }
}

/** The file stays open, for it has yet to be brought to the disk. */
function into(file: FileHandle): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      file.appendFile(chunk).then(() => done(), done)
    },
  })
}

function checksum() {
  const hash = createHash('sha256')
  let bytes = 0
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      bytes += chunk.length
      done(null, chunk)
    },
  })
  return { stream, written: (): Written => ({ bytes, sha256: hash.digest('hex') }) }
}

/** Passes everything on, to the file and beside it, no quicker than asked. */
function meterOf({ beside, bytesPerSecond, onPiece, onProgress, signal }: SinkOptions): Transform {
  const started = Date.now()
  let bytes = 0
  let told = started
  const passOn = async (chunk: Buffer) => {
    bytes += chunk.length
    if (beside) await written(beside, chunk)
    if (bytesPerSecond) await notBefore(started + (bytes / bytesPerSecond) * 1000, signal)
    onPiece?.()
    if (onProgress && Date.now() - told >= 1000) {
      told = Date.now()
      onProgress(bytes)
    }
  }
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      passOn(chunk).then(() => done(null, chunk), done)
    },
    flush(done) {
      beside?.end()
      done()
    },
    // It comes after a good end, too, when the reader beside has not yet read all that was written to it.
    destroy(error, done) {
      if (error) beside?.destroy()
      done(error)
    },
  })
}

async function notBefore(time: number, signal: AbortSignal | undefined): Promise<void> {
  const wait = time - Date.now()
  if (wait > 0) await sleep(wait, undefined, signal ? { signal } : {})
}

/** A reader that has gone says why by its own end: here it only stops being waited for. */
function written(stream: Writable, chunk: Buffer): Promise<void> {
  if (stream.destroyed || stream.closed || stream.write(chunk)) return Promise.resolve()
  return new Promise(resolve => {
    const go = () => {
      for (const event of ['drain', 'close', 'error']) stream.off(event, go)
      resolve()
    }
    for (const event of ['drain', 'close', 'error']) stream.on(event, go)
  })
}
