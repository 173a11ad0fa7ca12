import type { OnUnseen } from '../../postgres/room.js'
import type { StepContext } from '../../runbook/step.js'

/** Under this key a run notes why it did not see all the time how much room the database's disk has. */
const NOTE = 'room-unseen'

/** Warns once in a run that the database's disk cannot be looked at, and notes why for its result. */
export function noteUnseen({ toolbox, note, noted }: StepContext): OnUnseen {
  return async why => {
    if (noted(NOTE) !== undefined) return
    toolbox.output.warn(
      `How much room the database’s disk has cannot be seen; nothing ends the work when it fills: ${why}`,
    )
    await note(NOTE, why)
  }
}

/** Returns why the run did not see it all the time; null where it did, or was not filling that disk. */
export function roomUnseen(noted: StepContext['noted']): string | null {
  return noted(NOTE) ?? null
}

/** Returns the same for people, as lines. */
export function roomText(unseen: string | null): string[] {
  return unseen === null ? [] : [`Whether the database’s disk had room was not seen all the time: ${unseen}`]
}
