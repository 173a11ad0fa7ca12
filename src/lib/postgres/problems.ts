import type { PostgresTarget } from '../backends/backend.js'
import {
  InterruptedError,
  messageOf,
  OperatorError,
  OutcomeUnknownError,
  RefusedError,
  UnforeseenError,
} from '../errors.js'

/** What the server or the system said, without a word of the statement's values. */
interface RawError {
  code?: string
  severity?: string
  message: string
}

/** Why a connection was not made: the system's and the server's code, the cause for people, what to do. */
const CONNECT_CAUSES: Readonly<Record<string, readonly [cause: string, next: string]>> = {
  ENOTFOUND: ['the host name is unknown', 'check the host name'],
  EAI_AGAIN: ['the host name could not be looked up', 'check the host name and the name server'],
  ECONNREFUSED: ['nothing listens there', 'check that PostgreSQL runs and the port is right'],
  ENOENT: ['there is no such socket', 'check that PostgreSQL runs and the socket directory is right'],
  EHOSTUNREACH: ['the host cannot be reached', 'check the network and the firewall'],
  ENETUNREACH: ['the network cannot be reached', 'check the network'],
  ETIMEDOUT: ['no answer came in time', 'check the network, the firewall and the port'],
  ECONNRESET: ['the connection was cut', 'check that it is PostgreSQL that listens there'],
  EPIPE: ['the connection was cut', 'check that it is PostgreSQL that listens there'],
  '28P01': ['the password was refused', 'check DB_PASS or DATABASE_URL'],
  '28000': ['the server refuses this user, database or way to connect', 'check DB_USER and the server’s pg_hba.conf'],
  '3D000': ['the database does not exist', 'check DB_NAME or DATABASE_URL, or create it with `rails db:setup`'],
  '42501': ['the user may not connect to this database', 'grant CONNECT to the user'],
  '57P03': ['the server is starting up, shutting down or recovering', 'wait until it accepts connections, then repeat'],
  '55000': ['the database takes no connections', 'check datallowconn of the database'],
  '53300': ['all connections are taken', 'stop something that holds connections, or raise max_connections'],
}

/** The server answered, and it is this database or this user that it does not let in. */
const NOT_ADMITTED = new Set(['3D000', '42501', '28000', '55000'])
/** PgBouncer says so with 08P01, which it uses for a wrong password too. */
const POOLER_LACKS = /no such (database|user)|database .* does not exist/

const TLS_CODE = /^(ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|CERT_|EPROTO)/
const GARBAGE = /invalid response|unexpected message|not PostgreSQL|Connection terminated|establishing an SSL/i

/** Returns why the connection failed as an error for the operator; no part of it holds the password. */
export function connectProblem(error: unknown, where: string, target: Pick<PostgresTarget, 'user' | 'database'>) {
  if (error instanceof OperatorError) return error
  const raw = rawOf(error)
  const [cause, next] = connectCause(raw)
  return new RefusedError({
    code: isNotAdmitted(raw) ? 'postgres-not-admitted' : 'postgres-unreachable',
    message: `cannot connect to PostgreSQL (${where}) as ${target.user}, database ${target.database}`,
    cause,
    next,
  })
}

function isNotAdmitted({ code = '', message }: RawError): boolean {
  return NOT_ADMITTED.has(code) || (code === '08P01' && POOLER_LACKS.test(message))
}

function connectCause(raw: RawError): readonly [string, string] {
  const known = raw.code === undefined ? undefined : CONNECT_CAUSES[raw.code]
  if (known !== undefined) return raw.severity === undefined ? known : [`${known[0]} (${raw.message})`, known[1]]
  if (raw.message === 'timeout expired') return CONNECT_CAUSES.ETIMEDOUT as readonly [string, string]
  if (/does not support SSL/.test(raw.message)) return ['the server speaks no TLS', 'connect without TLS']
  if (raw.code !== undefined && TLS_CODE.test(raw.code)) return [`TLS failed: ${raw.message}`, 'check the certificate']
  if (/SASL|password must be a string/i.test(raw.message)) return ['the password is missing or wrong', 'check DB_PASS']
  if (raw.severity === undefined && GARBAGE.test(raw.message)) {
    return ['what answers there does not speak PostgreSQL’s protocol', 'check the host and the port']
  }
  return [raw.message, 'see the server’s log']
}

/** Classes of failure of one statement that the operator can do something about. */
const STATEMENT_CAUSES: Readonly<Record<string, readonly [cause: string, next: string]>> = {
  '42501': ['the user lacks the privilege', 'grant it, or connect as the owner of the database'],
  '25006': ['the database takes no writes', 'look for a full plan, a standby, or default_transaction_read_only'],
  '55P03': ['another session holds the lock', 'wait for it, or look into pg_stat_activity'],
  '55006': ['other sessions use it', 'stop them, then repeat'],
  '57014': ['the statement took longer than its limit', 'repeat when the server is less busy'],
  '53100': ['the disk of the server is full', 'make room on it'],
  '53200': ['the server is out of memory', 'look into the server’s log'],
  '40P01': ['two sessions waited for each other', 'repeat'],
  '40001': ['another session changed the same rows', 'repeat'],
}

export interface StatementContext {
  where: string
  effect: 'read' | 'write'
  /** True while nothing of the transaction can have been kept. */
  rollsBack: boolean
  /** Values that no text may hold. */
  secrets: readonly string[]
  signal?: AbortSignal
}

/** Returns why the statement failed as an error for the operator: see {@link sqlState}. */
export function statementProblem(error: unknown, context: StatementContext): OperatorError {
  if (error instanceof OperatorError) return error
  const raw = rawOf(error)
  if (raw.code === '57014' && context.signal?.aborted) return interrupted(context)
  if (lost(raw)) return connectionLost(raw, context)
  const known = STATEMENT_CAUSES[raw.code ?? '']
  const said = without(raw.message, context.secrets)
  const parts = { code: `sql-${raw.code ?? 'unknown'}`, message: `PostgreSQL (${context.where}) refused: ${said}` }
  if (known !== undefined) return new RefusedError({ ...parts, cause: known[0], next: known[1] })
  return new UnforeseenError({ ...parts, cause: `SQLSTATE ${raw.code ?? 'unknown'}`, next: 'see the server’s log' })
}

/** Returns the five characters of the SQLSTATE of an error thrown by a Database, undefined for any other error. */
export function sqlState(error: unknown): string | undefined {
  const code = error instanceof OperatorError ? error.code : ''
  return code.startsWith('sql-') ? code.slice(4) : undefined
}

/** A FATAL answer ends the session too: whether the statement was kept before it is not known. */
function lost(raw: RawError): boolean {
  return raw.severity === undefined || raw.severity === 'FATAL' || raw.severity === 'PANIC'
}

function connectionLost(raw: RawError, context: StatementContext): OperatorError {
  const said = without(raw.message, context.secrets)
  const message = `the connection to PostgreSQL (${context.where}) was lost: ${said}`
  // The client says so of a statement that it did not send, the connection having been lost before.
  const unsent = /not queryable/.test(raw.message)
  if (context.effect === 'write' && !context.rollsBack && !unsent) {
    const cause = 'whether the last statement took effect is not known'
    return new OutcomeUnknownError({ code: 'postgres-lost', message, cause, next: 'look whether it did, then repeat' })
  }
  const cause = context.rollsBack ? 'the server rolls the transaction back' : 'nothing was being changed'
  return new RefusedError({ code: 'postgres-lost', message, cause, next: 'check the server, then repeat' })
}

function interrupted(context: StatementContext) {
  return new InterruptedError({ code: 'interrupted', message: `stopped while reading from ${context.where}` })
}

function without(text: string, secrets: readonly string[]): string {
  return secrets.reduce((clean, secret) => (secret === '' ? clean : clean.replaceAll(secret, '[secret]')), text)
}

function rawOf(error: unknown): RawError {
  const { code, severity } = (error ?? {}) as { code?: string; severity?: string }
  // A connect to a name with several addresses fails with one error for each and no text of its own.
  const first = error instanceof AggregateError ? messageOf(error.errors[0]) : ''
  return { code, severity, message: messageOf(error) || first }
}
