import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import type { Redis } from 'ioredis'
import type { RedisConnector, RedisTarget } from '../backends/backend.js'
import { connectTimeout, openByteStream, type SocketLike, timedOut, withSecondTry } from '../postgres/stream.js'

/** Milliseconds to wait for TLS. */
const HANDSHAKE_TIMEOUT = 5_000
/** A server that hangs is given up; nothing that is sent takes this long. */
const COMMAND_TIMEOUT = 60_000

/**
 * Returns a client that is connected and let in, on the database of the target.
 *
 * One connection, once: a lost one is reported by the next command and never made anew behind the caller's back.
 */
export function connectClient(connector: RedisConnector, target: RedisTarget, signal?: AbortSignal): Promise<Redis> {
  return withSecondTry(() => connected(connector, target, signal))
}

async function connected(connector: RedisConnector, target: RedisTarget, signal?: AbortSignal): Promise<Redis> {
  const stream = await openStream(connector, target, signal)
  stream.on('error', () => {})
  const client = await clientOver(stream)
  if (stream.destroyed) throw stream.errored ?? new Error('the connection was closed before an answer')
  const timer = setTimeout(() => stream.destroy(timedOut()), connectTimeout(connector))
  try {
    await client.connect()
    await enter(client, target)
    return client
  } catch (error) {
    client.disconnect()
    stream.destroy()
    // The client knows only that the connection is closed, the stream why.
    throw stream.errored ?? error
  } finally {
    clearTimeout(timer)
  }
}

async function openStream(connector: RedisConnector, target: RedisTarget, signal?: AbortSignal) {
  const raw = await openByteStream({
    openStream: connector.openStream?.bind(connector),
    host: target.host,
    port: target.port ?? 6379,
    timeoutMs: connectTimeout(connector),
    signal,
  })
  return target.tls === undefined || target.tls === 'none' ? raw : encrypted(raw, target)
}

async function encrypted(raw: SocketLike, target: RedisTarget): Promise<SocketLike> {
  const host = target.host ?? 'localhost'
  const isAddress = /^[\d.]+$|:/.test(host)
  const stream = connectTls({
    socket: raw,
    host,
    ...(isAddress ? {} : { servername: host }),
    rejectUnauthorized: target.tls === 'verify',
  })
  raw.on('error', error => stream.destroy(error))
  // A server without TLS waits for the end of what it takes for a command.
  const timer = setTimeout(() => stream.destroy(noHandshake()), HANDSHAKE_TIMEOUT)
  await once(stream, 'secureConnect').finally(() => clearTimeout(timer))
  return stream
}

function noHandshake(): Error {
  return Object.assign(new Error('no handshake in time'), { code: 'ERR_TLS_HANDSHAKE_TIMEOUT' })
}

async function clientOver(stream: SocketLike): Promise<Redis> {
  const { AbstractConnector, Redis } = await import('ioredis')
  class OpenedStream extends AbstractConnector {
    constructor() {
      super(2_000)
    }
    async connect() {
      this.stream = stream as unknown as typeof this.stream
      return this.stream
    }
  }
  const client = new Redis({
    Connector: OpenedStream,
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: null as never,
    disableClientInfo: true,
    protocol: 2,
    keepAlive: 30_000,
    commandTimeout: COMMAND_TIMEOUT,
  })
  // Without a listener the client would print the error; the command that fails reports it.
  client.on('error', () => {})
  return client
}

/** Done here rather than by the client, which would print warnings of its own and hide which step failed. */
async function enter(client: Redis, target: RedisTarget): Promise<void> {
  const { username, password, database } = target
  if (password !== undefined && password !== '') {
    await client.call('AUTH', ...(username ? [username, password] : [password])).catch(needlessPassword)
  }
  if (database !== 0) await client.call('SELECT', String(database))
  await client.call('PING')
}

/** A server without a password refuses AUTH, yet lets everybody in. */
function needlessPassword(error: Error): void {
  if (!/no password is set|without any password configured/.test(error.message)) throw error
}
