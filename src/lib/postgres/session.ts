import type { Client } from 'pg'
import type { PostgresConnector, PostgresTarget } from '../backends/backend.js'
import { connectProblem } from './problems.js'
import { connectTimeout, openByteStream, type SocketLike, withSecondTry } from './stream.js'

/** First bytes of what a PostgreSQL server may answer: authentication, error, notice, protocol version, TLS yes. */
const FIRST_BYTES = 'RENvS'
const INT8 = 20
const TIMESTAMP = 1114

export interface SessionOptions {
  database?: string
  /** At most 63 characters count. */
  applicationName: string
  signal?: AbortSignal
}

/** A connected client and what was seen while it connected. */
export interface Session {
  client: Client
  stream: SocketLike
  database: string
  /** Like 150018. */
  version: number
  /** Something between us and the server hands out server connections: settings must not be changed through it. */
  pooled: boolean
  /** What a request to cancel must name. */
  cancelKey: { processID: number; secretKey: number }
}

/**
 * Connects and looks who answers.
 *
 * @throws RefusedError with the cause when there is no connection to be had.
 */
export async function openSession(connector: PostgresConnector, options: SessionOptions): Promise<Session> {
  const target = await connector.target()
  const database = options.database ?? target.database
  try {
    return await withSecondTry(() => connect(connector, { ...target, database }, options))
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason
    throw connectProblem(error, connector.where, { user: target.user, database })
  }
}

async function connect(connector: PostgresConnector, target: PostgresTarget, options: SessionOptions) {
  // Loaded first, so that nothing delays the client once the stream is there.
  await import('pg')
  const stream = await openPostgresStream(connector, target, options.signal)
  const abort = () => stream.destroy(options.signal?.reason)
  options.signal?.addEventListener('abort', abort)
  try {
    const { applicationName } = options
    const client = await startClient(stream, target, { applicationName, timeoutMs: connectTimeout(connector) })
    return { client, stream, database: target.database, ...(await introduce(client)) }
  } catch (error) {
    stream.destroy()
    throw error
  } finally {
    options.signal?.removeEventListener('abort', abort)
  }
}

/** Returns a connected stream to the server of the target. */
export function openPostgresStream(connector: PostgresConnector, target: PostgresTarget, signal?: AbortSignal) {
  const port = target.port ?? 5432
  return openByteStream({
    openStream: connector.openStream?.bind(connector),
    host: target.host,
    port,
    socketFile: `.s.PGSQL.${port}`,
    timeoutMs: connectTimeout(connector),
    signal,
  })
}

async function startClient(
  stream: SocketLike,
  target: PostgresTarget,
  { applicationName, timeoutMs }: { applicationName: string; timeoutMs: number },
): Promise<Client> {
  const pg = await import('pg')
  const client = new pg.default.Client({
    user: target.user,
    database: target.database,
    // A function: an empty password would make the client look into PGPASSWORD and ~/.pgpass.
    password: () => target.password ?? '',
    host: target.host ?? 'localhost',
    ssl: tlsOf(target),
    stream: () => stream,
    application_name: asciiLine(applicationName),
    connectionTimeoutMillis: timeoutMs,
    types: { getTypeParser: parserOf(pg.default.types.getTypeParser) },
  })
  // Without a listener a lost idle connection would end the process; the next statement reports it.
  client.on('error', () => {})
  const ready = client.connect()
  // After the client's own listener, and before anything can have arrived.
  if (tlsOf(target) === false) stream.once('data', refuseGarbage(stream))
  await Promise.race([ready, endOf(stream)])
  return client
}

/** The client does not notice a stream that broke before it listened, and would wait without end. */
function endOf(stream: SocketLike): Promise<never> {
  return new Promise((_, reject) => {
    const end = () => reject(stream.errored ?? new Error('the connection was closed before an answer'))
    if (stream.destroyed) end()
    else stream.once('close', end)
  })
}

function tlsOf(target: PostgresTarget) {
  if (target.tls === undefined || target.tls === 'none' || target.host?.startsWith('/')) return false
  return { rejectUnauthorized: target.tls === 'verify' }
}

/** The client waits without end for the rest of a message whose length is really text of another protocol. */
function refuseGarbage(stream: SocketLike) {
  return (chunk: Buffer) => {
    const first = String.fromCharCode(chunk[0] ?? 0)
    if (!FIRST_BYTES.includes(first)) stream.destroy(new Error('the answer is not PostgreSQL’s protocol'))
  }
}

type TypeParser = (text: string) => unknown

/** Whole numbers as numbers where they are exact, and Rails' times, which are UTC without saying so, as UTC. */
function parserOf(standard: (oid: number, format?: 'text' | 'binary') => TypeParser) {
  return (oid: number, format?: 'text' | 'binary'): TypeParser => {
    if (oid === INT8) return wholeNumber
    if (oid === TIMESTAMP) return utcTime
    return standard(oid, format)
  }
}

function wholeNumber(text: string): number | string {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : text
}

function utcTime(text: string): Date | string {
  const time = new Date(`${text.replace(' ', 'T')}Z`)
  return Number.isNaN(time.getTime()) ? text : time
}

function asciiLine(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 63)
}

/** A pooler makes up the process number that it announces, so it differs from the one that the server tells. */
async function introduce(client: Client) {
  const { rows } = await client.query<{ pid: number; version: number }>(
    "SELECT pg_backend_pid() AS pid, current_setting('server_version_num')::int AS version",
  )
  const { processID, secretKey } = client as unknown as Session['cancelKey']
  const version = rows[0]?.version ?? 0
  return { version, pooled: rows[0]?.pid !== processID, cancelKey: { processID, secretKey } }
}

/** Asks the server to end the statement that the session runs; does nothing when it cannot be asked. */
export async function cancelStatement(connector: PostgresConnector, session: Session): Promise<void> {
  const request = Buffer.alloc(16)
  request.writeInt32BE(16, 0)
  request.writeInt32BE(80_877_102, 4) // The code of a CancelRequest in protocol 3.0.
  request.writeInt32BE(session.cancelKey.processID, 8)
  request.writeInt32BE(session.cancelKey.secretKey, 12)
  try {
    const stream = await openPostgresStream(connector, await connector.target())
    stream.on('error', () => {})
    stream.end(request)
  } catch {
    // Then the statement runs to its end or its limit.
  }
}

/** Ends the session, at once when the other side does not say goodbye. */
export async function closeSession(session: Session): Promise<void> {
  const timer = setTimeout(() => session.stream.destroy(), 2_000)
  await session.client.end().catch(() => {})
  clearTimeout(timer)
}
