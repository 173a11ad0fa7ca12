import {
  InterruptedError,
  messageOf,
  NotUndoneError,
  OperatorError,
  OutcomeUnknownError,
  RefusedError,
  UndoneError,
} from '../errors.js'
import { explanationOf } from '../mastodon/known-problems.js'
import type { RunEnd } from './journal.js'
import { Interrupted } from './signals.js'
import type { Step } from './step.js'

/** A step that stands after the undo, wholly or in part. */
export interface Left {
  step: Step
  why: string
}

/** What a run that did not succeed comes to. */
export interface Ending {
  runbook: string
  runId: string
  /** What made it turn back. */
  cause: unknown
  left: readonly Left[]
  /** Why nothing was taken back, where what the run has made is in use. */
  inUse?: string
  /** It is not resumed: its next run clears away what it left. */
  disposable?: boolean
  /** The journal does not know what was undone. */
  journalFailed: boolean
}

/**
 * Returns how the run is journalled: `not-undone` holds up every other run, the rest do not. What is in use may not be
 * made a second time by the command: its run is gone on with, also where its last step could be repeated.
 */
export function endOf({
  cause,
  left,
  inUse,
  disposable,
}: Pick<Ending, 'cause' | 'left' | 'inUse' | 'disposable'>): RunEnd {
  if (left.length > 0 && disposable) return 'left'
  if (left.length > 0) return inUse === undefined && left.every(({ step }) => step.repeatable) ? 'left' : 'not-undone'
  return cause instanceof Interrupted ? 'interrupted' : 'undone'
}

/** Returns the error that tells the operator what failed, what stands, and what to do next. */
export function verdict(ending: Ending): OperatorError {
  if (ending.left.length > 0) return leftError(ending)
  if (ending.cause instanceof Interrupted) return interruptedError(ending)
  const { code, message, cause, next } = partsOf(ending)
  return new UndoneError({
    code,
    message,
    cause: sentences(cause, 'What had been done was undone: things are as they were before.'),
    next: next ?? `mstdn-ops runs:show ${ending.runId}`,
  })
}

/** Returns the refusal to take back what is in use. */
export function notTakenBack({ runbook, runId, inUse }: Pick<Ending, 'runbook' | 'runId'> & { inUse: string }) {
  return new RefusedError({
    code: 'in-use',
    message: `${runbook} is not taken back any more: nothing was changed.`,
    cause: inUse,
    next: `mstdn-ops resume (goes on with run ${runId}), or mstdn-ops resume --abandon`,
  })
}

function leftError(ending: Ending): OperatorError {
  const { code, message, cause, next } = partsOf(ending)
  const list = ending.left.map(({ step, why }) => `${step.title} (${why})`).join('; ')
  const goOn = endOf(ending) === 'left' ? againText(ending) : resumeText(ending)
  const parts = { code, message, cause: sentences(cause, `Left as it is: ${list}.`), next: sentences(next, goOn) }
  return ending.cause instanceof OutcomeUnknownError ? new OutcomeUnknownError(parts) : new NotUndoneError(parts)
}

function againText({ disposable }: Ending): string {
  const again = 'Run the command again when the cause is gone'
  return disposable ? `${again}: it clears away what is left.` : `${again}.`
}

function resumeText({ runId, inUse, journalFailed }: Ending): string {
  if (inUse !== undefined) return `mstdn-ops resume (goes on with run ${runId}), or mstdn-ops resume --abandon`
  if (journalFailed) return 'Make room for the journal, then: mstdn-ops resume --undo (takes back the rest)'
  return `mstdn-ops resume (goes on with run ${runId}), mstdn-ops resume --undo (takes it back), or mstdn-ops resume --abandon`
}

function interruptedError({ runbook }: Ending): InterruptedError {
  const message = `${runbook} was interrupted, and undone: things are as they were before.`
  return new InterruptedError({ code: 'interrupted', message, next: 'Run the command again when it suits.' })
}

interface Parts {
  code: string
  message: string
  cause: string | undefined
  next: string | undefined
}

function partsOf({ runbook, cause }: Ending): Parts {
  if (cause instanceof Interrupted) {
    return { code: 'interrupted', message: `${runbook} was interrupted.`, cause: undefined, next: undefined }
  }
  const failed = messageOf(cause)
  const message = `${runbook} failed: ${failed}`
  if (!(cause instanceof OperatorError)) {
    return { code: 'step-failed', message, cause: explanationOf(failed), next: undefined }
  }
  const why = sentences(cause.why, explanationOf(sentences(failed, cause.why)))
  return { code: cause.code, message, cause: why === '' ? undefined : why, next: cause.next }
}

function sentences(...parts: (string | undefined)[]): string {
  return parts.filter(part => part !== undefined && part !== '').join('\n')
}
