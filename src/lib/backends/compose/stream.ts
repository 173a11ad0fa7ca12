import { Duplex } from 'node:stream'
import { RefusedError } from '../../errors.js'
import { NOT_STARTED } from '../../postgres/stream.js'
import type { Channel } from '../../runner.js'
import { firstLine } from '../complaints.js'

/** What a container engine says on standard output in place of the server's answer (exit code 126). */
const ENGINE_SPEAKS = /^(OCI runtime|Error response from daemon|exec failed|unable to start container)/

/** The engine could not start the process for reasons of its own, as it happens when it is busy: nothing has run. */
const ENGINE_FAILED = /^OCI runtime exec failed: .*(reset by peer|broken pipe|EOF|temporarily unavailable)/

/** How long a relay may take to say why it ended. */
const MOST_COMPLAINT = 4000

/** The bytes of a relay's process as one two-way stream, with those methods of a socket that protocol clients call. */
export class ChannelStream extends Duplex {
  readonly connecting = false
  readonly #channel: Channel
  readonly #where: string
  #complaint = ''
  #heard = false
  #endedHere = false

  constructor(channel: Channel, where: string) {
    super({ allowHalfOpen: false })
    this.#channel = channel
    this.#where = where
    channel.stdout.on('data', (chunk: Buffer) => this.#hear(chunk))
    channel.stderr.on('data', (chunk: Buffer) => {
      this.#complaint = (this.#complaint + chunk.toString()).slice(0, MOST_COMPLAINT)
    })
    channel.ended.then(
      code => this.#over(code),
      error => this.destroy(error),
    )
  }

  /** The relay connects as it starts, so a client that asks for a connection has it already. */
  connect(): this {
    process.nextTick(() => this.emit('connect'))
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  setTimeout(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  override _read(): void {
    this.#channel.stdout.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // A process that has ended closed its input: neither `drain` nor `close` comes any more.
    if (this.#channel.stdin.write(chunk) || this.#channel.stdin.destroyed) {
      done()
      return
    }
    const goOn = () => {
      this.#channel.stdin.off('drain', goOn).off('close', goOn)
      done()
    }
    this.#channel.stdin.once('drain', goOn).once('close', goOn)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#endedHere = true
    // The callback of an end that comes after the process's own is never called.
    if (this.#channel.stdin.destroyed) done()
    else this.#channel.stdin.end(() => done())
  }

  /** The client process is ended at once; the relay in the container sees its input end and goes. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#endedHere = true
    this.#channel.stdin.destroy()
    this.#channel.kill('SIGKILL')
    done(error)
  }

  #hear(chunk: Buffer): void {
    if (!this.#heard && ENGINE_SPEAKS.test(chunk.subarray(0, 60).toString('latin1'))) {
      this.destroy(this.#noConnection(firstLine({ stdout: chunk.toString(), stderr: '' })))
      return
    }
    this.#heard = true
    if (!this.push(chunk)) this.#channel.stdout.pause()
  }

  #over(code: number): void {
    if (this.destroyed) return
    if (this.#endedHere || (code === 0 && this.#heard)) this.push(null)
    else if (this.#heard) this.destroy(lost(this.#where, code))
    else this.destroy(this.#noConnection(this.#reason(code)))
  }

  #reason(code: number): string {
    return this.#complaint.trim() === ''
      ? `It ended with code ${code} before any answer.`
      : firstLine({ stderr: this.#complaint, stdout: '' })
  }

  #noConnection(cause: string): RefusedError {
    return new RefusedError({
      code: ENGINE_FAILED.test(cause) ? NOT_STARTED : 'no-connection',
      message: `No connection to ${this.#where}.`,
      cause,
      next: 'See whether its container runs and is healthy: docker compose ps -a',
    })
  }
}

function lost(where: string, code: number): Error {
  return Object.assign(new Error(`the connection to ${where} was lost (relay code ${code})`), { code: 'ECONNRESET' })
}
