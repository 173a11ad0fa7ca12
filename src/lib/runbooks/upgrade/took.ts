import type { Step, StepContext } from '../../runbook/step.js'
import { forgetKeysCopy } from './keys.js'

const TOOK = 'took-'

/** Notes how long the step took. */
export function timed(step: Step): Step {
  const run = async (context: StepContext) => {
    const started = Date.now()
    await step.run(context)
    await context.note(TOOK + step.id, String(Date.now() - started))
  }
  return { ...step, run }
}

/** Returns the milliseconds of each step that was taken. */
export function tookNoted(steps: readonly Step[], noted: StepContext['noted']): Record<string, number> {
  const found = steps.map(({ id }) => [id, noted(TOOK + id)] as const)
  return Object.fromEntries(found.flatMap(([id, took]) => (took === undefined ? [] : [[id, Number(took)] as const])))
}

/** The files of the project as they were stay; what holds secrets goes. */
export function tidyStep(): Step {
  return {
    id: 'tidy',
    title: 'Remove the copy of the former configuration',
    effect: 'read',
    run: async context => {
      if (!context.dryRun) await forgetKeysCopy(context)
    },
  }
}
