import type { StepContext } from '../../src/lib/runbook/step.js'
import type { Toolbox } from '../../src/lib/toolbox.js'

/** Returns what a step gets from the run loop, with a toolbox; what it notes comes into `notes`. */
export function stepContext(
  toolbox: Toolbox,
  { notes = {}, runId = 'run-1' }: { notes?: Record<string, string>; runId?: string } = {},
): StepContext {
  return {
    toolbox,
    runId,
    dryRun: toolbox.dryRun,
    note: async (key, value) => void Object.assign(notes, { [key]: value }),
    noted: key => notes[key],
    reveal: () => undefined,
    progress: () => undefined,
    stop: new AbortController().signal,
    lockAgain: async () => undefined,
  }
}
