/**
 * The exit codes, frozen: scripts and timers rely on them.
 *
 * `passThrough` has no number of its own: `run -- COMMAND` hands the remote code on.
 */
export const ExitCode = {
  done: 0,
  unforeseen: 1,
  usage: 2,
  refused: 3,
  undone: 4,
  notUndone: 5,
  locked: 6,
  badAnswer: 7,
  outcomeUnknown: 8,
  interrupted: 130,
} as const

export type ExitCodeValue = (typeof ExitCode)[keyof typeof ExitCode]

export interface ErrorParts {
  /** A short stable identifier for scripts, like `lock-held`. */
  code: string
  /** What failed, with the object's name. */
  message: string
  /** Why, in one or more sentences. */
  cause?: string
  /** The command to run next, or what to do. */
  next?: string
}

/** An error made for the operator: what failed, why, what to do next. Never shows a stack. */
export abstract class OperatorError extends Error {
  abstract readonly exitCode: ExitCodeValue
  readonly code: string
  readonly why: string | undefined
  readonly next: string | undefined

  constructor(parts: ErrorParts) {
    super(parts.message)
    this.name = new.target.name
    this.code = parts.code
    this.why = parts.cause
    this.next = parts.next
  }

  /** The one shape that `--json` prints for a failure. */
  toJSON() {
    return {
      error: {
        code: this.code,
        message: this.message,
        cause: this.why ?? null,
        next: this.next ?? null,
        exitCode: this.exitCode,
      },
    }
  }
}

/** Something unforeseen: a bug, or an answer that nobody expected. */
export class UnforeseenError extends OperatorError {
  readonly exitCode = ExitCode.unforeseen
}

/** A bad or missing flag, argument, answer, confirmation or configuration. */
export class UsageError extends OperatorError {
  readonly exitCode = ExitCode.usage
}

/** A preflight or safety check said no, or something could not be reached: nothing was changed. */
export class RefusedError extends OperatorError {
  readonly exitCode = ExitCode.refused
}

/** Failed, and undone: things are as they were before. */
export class UndoneError extends OperatorError {
  readonly exitCode = ExitCode.undone
}

/** Failed, and not (wholly) undone: the message says what is left and the command that goes on. */
export class NotUndoneError extends OperatorError {
  readonly exitCode = ExitCode.notUndone
}

/** Another run is under way: who, where, since when. */
export class LockedError extends OperatorError {
  readonly exitCode = ExitCode.locked
}

/** The connection to a remote process was lost, and looking did not settle what happened. */
export class OutcomeUnknownError extends OperatorError {
  readonly exitCode = ExitCode.outcomeUnknown
}

/** Interrupted by the operator, and undone. */
export class InterruptedError extends OperatorError {
  readonly exitCode = ExitCode.interrupted
}

/** Returns the message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
