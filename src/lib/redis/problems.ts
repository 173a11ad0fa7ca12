import { messageOf, OperatorError, OutcomeUnknownError, RefusedError, UnforeseenError } from '../errors.js'

type Cause = readonly [cause: string, next: string]

/** Why there is no connection, by the system's code. */
const SYSTEM_CAUSES: Readonly<Record<string, Cause>> = {
  ENOTFOUND: ['the host name is unknown', 'check REDIS_HOST or REDIS_URL'],
  EAI_AGAIN: ['the host name could not be looked up', 'check REDIS_HOST and the name server'],
  ECONNREFUSED: ['nothing listens there', 'check that Redis runs and the port is right'],
  ENOENT: ['there is no such socket', 'check that Redis runs and the socket is right'],
  EHOSTUNREACH: ['the host cannot be reached', 'check the network and the firewall'],
  ENETUNREACH: ['the network cannot be reached', 'check the network'],
  ETIMEDOUT: ['no answer came in time', 'check the network, the firewall and the port'],
}

/** Why the server refuses, by the first word of its answer; none of these has changed anything. */
const SERVER_CAUSES: Readonly<Record<string, Cause>> = {
  NOAUTH: ['it wants a password and none is configured', 'check REDIS_PASSWORD or REDIS_URL'],
  WRONGPASS: ['the password or the user name was refused', 'check REDIS_PASSWORD or REDIS_URL'],
  NOPERM: ['the user lacks the permission for this command', 'check the user’s ACL'],
  DENIED: ['protected mode: it takes connections from its own machine only', 'set a password or bind it to a network'],
  LOADING: ['it is still loading its data', 'wait until it is ready, then repeat'],
  BUSY: ['it runs a script that does not end', 'wait, or run SCRIPT KILL'],
  OOM: ['its memory limit is reached, so it takes no writes', 'free memory or raise maxmemory'],
  MISCONF: ['it cannot save to its disk, so it takes no writes', 'make room on the disk, see its log'],
  READONLY: ['it is a replica, so it takes no writes', 'use the address of the primary'],
  MASTERDOWN: ['it is a replica without its primary', 'use the address of the primary'],
}

/** Returns why the connection failed as an error for the operator; no part of it holds the password. */
export function connectProblem(error: unknown, where: string): OperatorError {
  if (error instanceof OperatorError) return error
  const [cause, next] = connectCause(error)
  return new RefusedError({ code: 'redis-unreachable', message: `cannot connect to Redis (${where})`, cause, next })
}

function connectCause(error: unknown): Cause {
  const code = codeOf(error)
  const known = SYSTEM_CAUSES[code] ?? serverCause(error)
  if (known !== undefined) return known
  if (/^(ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|CERT_|EPROTO)/.test(code)) {
    return [`TLS failed: ${messageOf(error)}`, 'check the certificate, and whether the server speaks TLS']
  }
  // Whatever else comes in place of an answer: text of another protocol, or the end of the stream.
  if (!isReply(error)) return ['what answers there does not speak Redis’ protocol', 'check the host and the port']
  return [messageOf(error), 'see the server’s log']
}

/** Returns why the command failed as an error for the operator. The arguments stay out: they may be secret. */
export function commandProblem(error: unknown, where: string, command: string, effect: 'read' | 'write') {
  if (error instanceof OperatorError) return error
  if (!isReply(error)) return connectionLost(where, command, effect)
  const message = `Redis (${where}) refused ${command.toUpperCase()}`
  const known = serverCause(error)
  if (known !== undefined) return new RefusedError({ code: 'redis-refused', message, cause: known[0], next: known[1] })
  return new UnforeseenError({ code: 'redis-error', message, cause: messageOf(error) })
}

function connectionLost(where: string, command: string, effect: 'read' | 'write') {
  const message = `the connection to Redis (${where}) was lost during ${command.toUpperCase()}`
  const parts = { code: 'redis-lost', message, next: 'check the server, then repeat' }
  if (effect === 'read') return new RefusedError({ ...parts, cause: 'nothing was being changed' })
  return new OutcomeUnknownError({ ...parts, cause: 'whether the command took effect is not known' })
}

function serverCause(error: unknown): Cause | undefined {
  if (!isReply(error)) return undefined
  if (/invalid password|invalid username-password/.test(messageOf(error))) return SERVER_CAUSES.WRONGPASS
  return SERVER_CAUSES[/^-?([A-Z]+)/.exec(messageOf(error))?.[1] ?? '']
}

/** Whether the server itself answered with an error. */
function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}

function codeOf(error: unknown): string {
  const first = error instanceof AggregateError ? error.errors[0] : error
  return String((first as { code?: unknown } | undefined)?.code ?? '')
}
