import { RefusedError } from '../errors.js'

/**
 * Milliseconds without a byte after which a program or a disk is taken to hang. Rows that were deleted and not yet
 * vacuumed are read past in silence: pg_dump passes about 100 GB of them in this time.
 */
export const SILENCE_MS = 30 * 60_000

export interface Attention {
  /** Breaks the work off when it is aborted, with its reason. */
  stop?: AbortSignal
  /** {@link SILENCE_MS} where absent. */
  silenceMs?: number
}

/** What work is given that somebody attends to. */
export interface Attended {
  /** Aborted when the work must end: it ends what it has started, and throws. */
  signal: AbortSignal
  /** Something has moved. */
  heard(): void
  /** Ends the work, for this reason. */
  giveUp(reason: unknown): void
}

/**
 * Does work on streams, and breaks it off when the run is stopped, when a part of it gives up, and when nothing has moved
 * for too long. Where it was stopped before, the work is called all the same: it must end what it was given.
 *
 * @throws why it was broken off, whatever the work itself failed with then.
 */
export async function attended<T>(
  what: string,
  { stop, silenceMs = SILENCE_MS }: Attention,
  work: (attended: Attended) => Promise<T>,
): Promise<T> {
  const end = new AbortController()
  const stopped = () => end.abort(stop?.reason)
  if (stop?.aborted) stopped()
  stop?.addEventListener('abort', stopped)
  // Not the clock, which may leap.
  let last = performance.now()
  const look = () => performance.now() - last >= silenceMs && end.abort(silent(what, silenceMs))
  const timer = setInterval(look, Math.min(silenceMs / 4, 10_000))
  try {
    return await work({
      signal: end.signal,
      heard: () => {
        last = performance.now()
      },
      giveUp: reason => end.abort(reason),
    })
  } catch (error) {
    throw end.signal.aborted ? end.signal.reason : error
  } finally {
    clearInterval(timer)
    stop?.removeEventListener('abort', stopped)
  }
}

/** Returns what the work comes to. @throws the signal's reason as soon as it is aborted: the work is not waited for. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const give = () => reject(signal.reason)
    if (signal.aborted) give()
    signal.addEventListener('abort', give)
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', give))
  })
}

function silent(what: string, ms: number): RefusedError {
  return new RefusedError({
    code: 'nothing-moves',
    message: `${what} hangs: nothing has moved for ${Math.round(ms / 60_000)} minutes.`,
    cause: 'A program, a disk or a connection stands still without failing.',
    next: 'Look at the disks and the database server, then run the command again.',
  })
}
