import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { createServer, type Server } from 'node:tls'
import type { Container } from './container.js'
import type { AttachFault } from './faults.js'

/** How the client of `heroku run --exit-code` is told the exit code: a line in the output. */
export const MARKER = /\uFFFF heroku-command-exit-status: \d+/

/** A one-off that waits for its client. */
export interface Waiting {
  readonly fault?: AttachFault
  /** False: the end of standard input comes as a byte, for there is no terminal to make it of. */
  readonly terminal: boolean
  start(): Container
  /** The client is gone while the process ran. */
  lost(): void
}

const SPLIT_PAUSE_MS = 200
const END_OF_INPUT = 4
/** A last byte 4 is the end of input unless more comes in this time. */
const END_PAUSE_MS = 30

/** Where clients meet their one-offs: TLS, `SECRET\r\n`, an answer that the client throws away, then raw bytes. */
export class Rendezvous {
  readonly #server: Server
  readonly #waiting = new Map<string, Waiting>()
  readonly #sockets = new Set<Socket>()

  constructor(tls: { cert: string; key: string }) {
    this.#server = createServer(tls, socket => this.#meet(socket))
    this.#server.on('tlsClientError', () => {})
    this.#server.on('connection', socket => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  /** Listens on a free port of the loopback and returns it. */
  listen(): Promise<number> {
    return new Promise(resolve =>
      this.#server.listen(0, '127.0.0.1', () => resolve((this.#server.address() as { port: number }).port)),
    )
  }

  expect(secret: string, waiting: Waiting): void {
    this.#waiting.set(secret, waiting)
  }

  forget(secret: string): void {
    this.#waiting.delete(secret)
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #meet(socket: Socket): void {
    let heard = Buffer.alloc(0)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    const hear = (bytes: Buffer) => {
      heard = Buffer.concat([heard, bytes])
      const end = heard.indexOf('\r\n')
      if (end === -1) return
      socket.off('data', hear)
      socket.pause()
      this.#attach(socket, heard.subarray(0, end).toString(), heard.subarray(end + 2))
    }
    socket.on('data', hear)
  }

  #attach(socket: Socket, secret: string, early: Buffer): void {
    const waiting = this.#waiting.get(secret)
    this.#waiting.delete(secret)
    if (!waiting || waiting.fault?.kind === 'drop-at-once') {
      waiting?.lost()
      socket.destroy()
      return
    }
    socket.write('rendezvous\r\n')
    const container = waiting.start()
    takeInput(socket, container.input, early, waiting.terminal)
    giveOutput(socket, container, waiting)
  }
}

function takeInput(socket: Socket, input: Writable, early: Buffer, terminal: boolean): void {
  const take = terminal ? (bytes: Buffer) => input.write(bytes) : untilEnd(input)
  if (early.length > 0) take(early)
  socket.on('data', take)
  socket.on('end', () => input.end())
  socket.resume()
}

/** Writes what comes, and closes the input after a byte 4 that nothing follows. */
function untilEnd(input: Writable): (bytes: Buffer) => void {
  let held: NodeJS.Timeout | undefined
  return bytes => {
    if (held) input.write(Buffer.from([END_OF_INPUT]))
    clearTimeout(held)
    held = undefined
    const last = bytes.at(-1) === END_OF_INPUT
    const text = last ? bytes.subarray(0, -1) : bytes
    if (text.length > 0) input.write(text)
    if (last) held = setTimeout(() => input.end(), END_PAUSE_MS)
  }
}

/** Sends the output as the fault would have it, and ends the connection after it. */
function giveOutput(socket: Socket, container: Container, waiting: Waiting): void {
  const { fault } = waiting
  let tail = ''
  const send = sender(socket, fault)
  container.output.on('data', (bytes: Buffer) => {
    tail = (tail + bytes.toString()).slice(-200)
    send.bytes(bytes)
  })
  socket.on('close', () => {
    // A client that has its marker goes; the shell is ending by itself then.
    if (!MARKER.test(tail)) waiting.lost()
  })
  container.ended.then(() => send.end()).catch(() => socket.destroy())
}

interface Sender {
  bytes(bytes: Buffer): void
  end(): void
}

function sender(socket: Socket, fault: AttachFault | undefined): Sender {
  if (fault?.kind === 'drop-after') return cutting(socket, fault.bytes ?? 0)
  if (fault?.kind === 'drop-before-end') return losing(socket, fault.lose)
  if (fault?.kind === 'split-marker') return splitting(socket)
  return { bytes: bytes => socket.write(bytes), end: () => socket.end() }
}

/** Ends the connection after so many bytes. */
function cutting(socket: Socket, limit: number): Sender {
  let sent = 0
  const bytes = (some: Buffer) => {
    const part = some.subarray(0, Math.max(0, limit - sent))
    sent += some.length
    if (sent < limit) socket.write(part)
    else socket.write(part, () => socket.destroy())
  }
  return { bytes, end: () => socket.destroy() }
}

/** Keeps all back until the process has ended, and sends it without its end. */
function losing(socket: Socket, lose: number | undefined): Sender {
  const all: Buffer[] = []
  const end = () => {
    const output = Buffer.concat(all)
    const marker = output.lastIndexOf('\uFFFF heroku-command-exit-status')
    const kept = lose === undefined ? (marker === -1 ? output.length : marker) : Math.max(0, output.length - lose)
    socket.write(output.subarray(0, kept), () => socket.destroy())
  }
  return { bytes: some => all.push(some), end }
}

/** Sends the marker in two chunks. */
function splitting(socket: Socket): Sender {
  const all: Buffer[] = []
  const end = () => {
    const output = Buffer.concat(all)
    const marker = output.lastIndexOf('heroku-command-exit-status')
    const middle = marker === -1 ? output.length : marker + 'heroku-command'.length
    socket.write(output.subarray(0, middle))
    setTimeout(() => socket.end(output.subarray(middle)), SPLIT_PAUSE_MS)
  }
  return { bytes: some => all.push(some), end }
}
