import type { Step, StepContext } from '../../runbook/step.js'
import { closeStep, openStep } from '../replace/close.js'
import type { Downtime } from './options.js'

/** Under these keys a run notes when (milliseconds) visitors were sent away, and let in again. */
const CLOSED = 'closed-at'
const OPENED = 'opened-at'

/** Sends visitors away, and notes since when. */
export function timedCloseStep(): Step {
  return noting(CLOSED, 'before', closeStep())
}

/** Lets visitors in again, and notes since when. */
export function timedOpenStep(): Step {
  return noting(OPENED, 'after', openStep())
}

/** Returns for how long visitors were sent away; null where the maintenance mode was on before, and stays on. */
export function closedFor(noted: StepContext['noted']): Downtime | null {
  const [closed, opened] = [noted(CLOSED), noted(OPENED)]
  if (closed === undefined || opened === undefined) return null
  return { milliseconds: Number(opened) - Number(closed), outages: 1, whole: true }
}

function noting(key: string, when: 'before' | 'after', step: Step): Step {
  const noteNow = async ({ note, noted }: StepContext) => {
    if (noted(key) === undefined) await note(key, String(Date.now()))
  }
  const run = async (context: StepContext) => {
    if (when === 'before') await noteNow(context)
    await step.run(context)
    if (when === 'after') await noteNow(context)
  }
  return { ...step, run }
}
