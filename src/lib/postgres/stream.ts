import { connect as connectTcp, Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** Where a server listens: a relay's stream, a host and port, or a directory with a unix socket. */
export interface Endpoint {
  openStream?: () => Promise<Duplex>
  host?: string
  port: number
  /** The socket's file, where a `host` that begins with `/` is its directory; without it `host` is the file. */
  socketFile?: string
  /** Milliseconds to wait for the connection. */
  timeoutMs: number
  signal?: AbortSignal
}

/**
 * Returns the milliseconds to wait for a connection that is ready. A relay's process has to be started by the engine
 * first, which takes a busy machine longer than any network.
 */
export function connectTimeout(connector: { openStream?: unknown }): number {
  return connector.openStream === undefined ? 15_000 : 60_000
}

/** The code of an error: what leads to the server could not be started, and nothing was sent. */
export const NOT_STARTED = 'relay-not-started'

/** Connects once more where what leads to the server could not be started. */
export async function withSecondTry<T>(connect: () => Promise<T>): Promise<T> {
  try {
    return await connect()
  } catch (error) {
    if ((error as { code?: unknown }).code !== NOT_STARTED) throw error
    return connect()
  }
}

/** A stream with those methods of a socket that the protocol clients call. It is connected already. */
export type SocketLike = Duplex & Pick<Socket, 'setNoDelay' | 'setKeepAlive' | 'setTimeout' | 'connecting'>

/**
 * Returns a byte stream to the server that is connected.
 *
 * @throws the error of the relay or of the system (`code` ENOTFOUND, ECONNREFUSED, ETIMEDOUT …).
 */
export async function openByteStream(endpoint: Endpoint): Promise<SocketLike> {
  endpoint.signal?.throwIfAborted()
  if (endpoint.openStream !== undefined) return asSocket(await endpoint.openStream())
  const socket = connectTcp(addressOf(endpoint))
  const giveUp = (reason: Error) => socket.destroy(reason)
  const timer = setTimeout(() => giveUp(timedOut()), endpoint.timeoutMs)
  const abort = () => giveUp(endpoint.signal?.reason)
  endpoint.signal?.addEventListener('abort', abort)
  try {
    await connected(socket)
  } finally {
    clearTimeout(timer)
    endpoint.signal?.removeEventListener('abort', abort)
  }
  return asSocket(socket)
}

function addressOf(endpoint: Endpoint) {
  const host = endpoint.host ?? 'localhost'
  if (host.startsWith('/')) return { path: endpoint.socketFile ? `${host}/${endpoint.socketFile}` : host }
  // A lock's session is idle for as long as a migration takes; what forgets idle connections must hear of it.
  return { host, port: endpoint.port, keepAlive: true, keepAliveInitialDelay: 30_000, noDelay: true }
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve()
    })
    socket.once('error', reject)
  })
}

/** Returns the error of a connection that did not come about in time. */
export function timedOut(): Error {
  return Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })
}

/** Both clients expect a socket that they connect themselves; here `connect` only reports what is so already. */
function asSocket(stream: Duplex): SocketLike {
  const report = () => {
    process.nextTick(() => stream.emit('connect'))
    return stream
  }
  // The client that gets the stream listens too; this one keeps a late error from ending the process.
  stream.on('error', () => {})
  Object.defineProperty(stream, 'connect', { value: report, configurable: true })
  if (stream instanceof Socket) return stream
  const nothing = () => stream
  const missing = { setNoDelay: nothing, setKeepAlive: nothing, setTimeout: nothing, ref: nothing, unref: nothing }
  for (const [name, value] of Object.entries({ ...missing, connecting: false })) {
    if (!(name in stream)) Object.defineProperty(stream, name, { value, configurable: true })
  }
  return stream as SocketLike
}
