import type { Output } from '../output.js'

/** What the operator's interruptions ask for. */
export interface Interruption {
  /** The first Ctrl-C or SIGTERM: stop at the end of the step and undo. */
  readonly stopped: boolean
  /** The second: stop undoing as well. */
  readonly stopUndo: boolean
  throwIfStopped(): void
  stopWatching(): void
}

/**
 * Watches SIGINT and SIGTERM for the length of a run. A step that is under way is never cut off: the stop takes effect
 * at its end. SIGHUP (a lost ssh session) does not end a run, it goes on into its log.
 */
export function watchSignals(output: Output): Interruption {
  let count = 0
  const interrupt = () => {
    count += 1
    if (count === 1)
      output.warn('Interrupted: stopping at the end of this step, then undoing. Once more stops the undo.')
    if (count === 2) output.warn('Interrupted again: the undo stops after this step. `mstdn-ops resume` goes on.')
  }
  const hangUp = () => output.debug('The terminal is gone (SIGHUP): the run goes on.')
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  process.on('SIGHUP', hangUp)
  return {
    get stopped() {
      return count > 0
    },
    get stopUndo() {
      return count > 1
    },
    throwIfStopped() {
      if (count > 0) throw new Error('interrupted')
    },
    stopWatching() {
      process.off('SIGINT', interrupt)
      process.off('SIGTERM', interrupt)
      process.off('SIGHUP', hangUp)
    },
  }
}
