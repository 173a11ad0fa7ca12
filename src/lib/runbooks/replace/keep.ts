import type { StepContext } from '../../runbook/step.js'

/** How long the replaced database is kept. */
export interface KeepOptions {
  /** Milliseconds, until it may be dropped; until the operator says so where absent. */
  keepOld?: number
}

/** Returns in ISO 8601 until when it is kept, or null. Noted, so that a resumed run keeps what the first one promised. */
export function keptUntil({ toolbox, noted }: StepContext, { keepOld }: KeepOptions): string | null {
  const known = noted('kept-until')
  if (known !== undefined) return known || null
  return keepOld === undefined ? null : new Date(toolbox.clock.now().getTime() + keepOld).toISOString()
}

/** Notes the promise before anything is made. */
export async function noteKeptUntil(context: StepContext, options: KeepOptions): Promise<void> {
  await context.note('kept-until', keptUntil(context, options) ?? '')
}
