import { setTimeout as sleep } from 'node:timers/promises'
import { OutcomeUnknownError, RefusedError } from '../errors.js'
import type { Settled, Step, StepContext } from './step.js'

/** How a step stands whose end was not seen, and what is to be told of it where it does not stand. */
export type Settlement =
  | { state: 'done' }
  | { state: 'not done' | 'unknown'; error: OutcomeUnknownError | RefusedError }

/** The code of an error of which looking tells nothing yet: what was started may be at work still. */
export const STILL_RUNNING = 'still-running'

/** What had been started may still be about to take effect: once is not enough to say that it did not. */
const LOOKS = 3
/** Milliseconds between two looks. */
const PAUSE_MS = 2_000

/** Returns what looking tells of a step that lost sight of what it had started. */
export async function settlementOf(
  step: Step,
  context: StepContext,
  lost: OutcomeUnknownError,
  pauseMs = PAUSE_MS,
): Promise<Settlement> {
  if (lost.code === STILL_RUNNING) return { state: 'unknown', error: lost }
  try {
    const state = await lookedAt(step, context, pauseMs)
    if (state === 'done') return { state }
    return { state, error: state === 'not done' ? didNothing(lost) : lost }
  } catch (error) {
    return { state: 'unknown', error: error instanceof OutcomeUnknownError ? error : lost }
  }
}

async function lookedAt(step: Step, context: StepContext, pauseMs: number): Promise<Settled> {
  for (let look = 1; ; look += 1) {
    const state = await (step.settle?.(context) ?? byDone(step, context))
    if (state !== 'not done' || look === LOOKS) return state
    await sleep(pauseMs)
  }
}

/** A step that is not done as a whole may have done a part: only one of all or nothing, or with an undo, is then settled. */
async function byDone(step: Step, context: StepContext): Promise<Settled> {
  if (step.done === undefined) return 'unknown'
  if (await step.done(context)) return 'done'
  return step.atomic || step.undo !== undefined ? 'not done' : 'unknown'
}

function didNothing(lost: OutcomeUnknownError): RefusedError {
  const { code, message, why } = lost
  const cause = [why, 'Looked: it was not done.'].filter(Boolean).join('\n')
  return new RefusedError({ code, message, cause, next: 'Run the command again.' })
}
