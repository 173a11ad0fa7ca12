import type { Output } from '../output.js'

/** The operator's Ctrl-C, or SIGTERM, as the reason to turn back. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted')
  }
}

/** What the operator's interruptions ask for. */
export interface Interruption {
  /** The second one: stop undoing as well. */
  readonly stopUndo: boolean
  /** Aborted, with an {@link Interrupted} as its reason, by the first Ctrl-C or SIGTERM before the run goes back. */
  readonly stop: AbortSignal
  /** @throws Interrupted after the first Ctrl-C or SIGTERM: the run stops at the end of the step and undoes. */
  throwIfStopped(): void
  /** From now on the run goes back: an interruption means something else. */
  goingBack(): void
  stopWatching(): void
}

/**
 * Watches SIGINT and SIGTERM for the length of a run. A step that is under way is never cut off: the stop takes effect
 * at its end, or where the step heeds it; `show` puts a text beside it. SIGHUP (a lost ssh session) does not end a run, it goes on into its log.
 */
export function watchSignals(output: Output, show: (text: string) => void): Interruption {
  let count = 0
  let back = false
  const stopping = new AbortController()
  const interrupt = () => {
    count += 1
    const text = count === 2 ? STOPS_UNDO : back ? UNDOES_ALREADY : STOPS
    if (count > 2) return
    // While a list is drawn other lines wait for its end, so that the list itself must show it.
    if (output.drawn) show(text)
    output.warn(text)
    if (!back) stopping.abort(new Interrupted())
  }
  const hangUp = () => output.debug('The terminal is gone (SIGHUP): the run goes on.')
  const watched = { SIGINT: interrupt, SIGTERM: interrupt, SIGHUP: hangUp }
  for (const [signal, act] of Object.entries(watched)) process.on(signal, act)
  return {
    stop: stopping.signal,
    get stopUndo() {
      return count > 1
    },
    throwIfStopped() {
      if (count > 0) throw new Interrupted()
    },
    goingBack() {
      back = true
    },
    stopWatching() {
      for (const [signal, act] of Object.entries(watched)) process.off(signal, act)
    },
  }
}

const STOPS = 'Interrupted: stopping as soon as this step lets it, then undoing. Once more stops the undo.'
const UNDOES_ALREADY = 'Interrupted: what was done is being undone already. Once more stops the undo.'
const STOPS_UNDO = 'Interrupted again: the undo stops after this step. `mstdn-ops resume` goes on.'
