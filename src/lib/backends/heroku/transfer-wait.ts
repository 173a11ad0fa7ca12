import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, NotUndoneError, OperatorError, OutcomeUnknownError, RefusedError } from '../../errors.js'
import { printableLine } from '../../text.js'
import type { TransferWatch } from '../managed-database.js'
import type { HerokuApp } from './app.js'
import { type HerokuTransfer, shownTransfer } from './transfers.js'

/** How often is looked at what is under way, and when it is given up. */
export interface Pace {
  /** Milliseconds between two looks at most; see {@link pauses}. */
  pauseMs: number
  /** Milliseconds without any progress: building an index of a large table moves nothing for long. */
  patienceMs: number
  /** Looks that may fail one after another. */
  failures: number
  /** Milliseconds in which a reset must have emptied the database. */
  resetMs: number
}

/** The CLI looks every 3 s and takes 20 failures (heroku 11.10.0, lib/pg/backups.js). */
export const PACE: Pace = { pauseMs: 3_000, patienceMs: 60 * 60_000, failures: 20, resetMs: 60_000 }

/** The first pause, in milliseconds: what is small is done soon. */
const FIRST_PAUSE_MS = 250

/** Returns a function that waits: shortly at first, then twice as long each time, up to the longest. */
export function pauses(longestMs: number): () => Promise<void> {
  let next = FIRST_PAUSE_MS
  return async () => {
    await sleep(Math.min(next, longestMs))
    next *= 2
  }
}

/**
 * Returns a transfer once it is over, however it ended.
 *
 * @throws OutcomeUnknownError when it does not go on, or cannot be looked at.
 */
export async function untilOver(
  look: () => Promise<HerokuTransfer>,
  parts: { app: HerokuApp; pace: Pace; onProgress?: TransferWatch['onProgress'] },
): Promise<HerokuTransfer> {
  const { app, pace, onProgress } = parts
  let [moved, failures, before] = [Date.now(), 0, '']
  const pause = pauses(pace.pauseMs)
  for (;;) {
    const seen = await look().catch((error: unknown) => {
      failures += 1
      if (failures > pace.failures) throw lostSight(app, error)
    })
    if (seen) {
      failures = 0
      onProgress?.(shownTransfer(seen))
      if (seen.state !== 'running') return seen
      const now = `${seen.bytes} ${seen.log.join('\n')}`
      if (now !== before) [moved, before] = [Date.now(), now]
    }
    if (Date.now() - moved > pace.patienceMs) throw standsStill(app, seen?.id)
    await pause()
  }
}

/**
 * Returns the transfer when it succeeded.
 *
 * @throws RefusedError for a backup, NotUndoneError for a restore that did not, with the last lines of its log.
 */
export function succeeded(app: HerokuApp, transfer: HerokuTransfer): HerokuTransfer {
  if (transfer.state === 'succeeded') return transfer
  const { id, kind, state, log } = transfer
  const how = state === 'canceled' ? 'was cancelled' : 'failed'
  const parts = {
    cause: log.length > 0 ? printableLine(log.join(' — ')) : 'Heroku keeps no line about it in its log.',
    next: app.byHand(['pg:backups:info', id]),
  }
  if (kind === 'backup')
    throw new RefusedError({ code: 'capture-failed', message: `The backup ${id} of ${app.name} ${how}.`, ...parts })
  throw new NotUndoneError({
    code: 'restore-failed',
    message: `The restore ${id} of ${app.name} ${how}: the database may be half restored.`,
    ...parts,
  })
}

function lostSight(app: HerokuApp, error: unknown): OutcomeUnknownError {
  const why = error instanceof OperatorError ? error.why : undefined
  return new OutcomeUnknownError({
    code: 'transfer-not-seen',
    message: 'Heroku no longer tells how far its backup or restore is.',
    cause: printableLine([messageOf(error), why].filter(Boolean).join(' ')),
    next: `It goes on by itself: ${app.byHand(['pg:backups'])}`,
  })
}

function standsStill(app: HerokuApp, id = 'that was begun'): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: 'transfer-stands-still',
    message: `The backup or restore ${id} of ${app.name} does not go on.`,
    cause: 'Nothing was processed for too long, and it has not ended.',
    next: `${app.byHand(['pg:backups'])}, and to end it: ${app.byHand(['pg:backups:cancel'])}`,
  })
}
