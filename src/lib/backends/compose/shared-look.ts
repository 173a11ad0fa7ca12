import type { Runner } from '../../runner.js'

/** Milliseconds for which a look at the engine is believed: many parts of one command ask at about the same time. */
const BELIEVED_MS = 400

interface Taken<T> {
  result: Promise<T>
  /** How many times this process had begun or ended a change when the look began. */
  changes: number
  /** When the look had ended, by a clock that never leaps; undefined while it is under way. */
  endedAt?: number
}

/**
 * One look at the engine for all who ask at the same time or shortly after. A change by this process makes it stale at
 * once, and a look that failed is not kept.
 */
export class SharedLook<T> {
  readonly #runner: Runner
  readonly #look: () => Promise<T>
  #taken: Taken<T> | undefined

  constructor(runner: Runner, look: () => Promise<T>) {
    this.#runner = runner
    this.#look = look
  }

  /** @throws what the look throws. */
  get(): Promise<T> {
    if (this.#taken === undefined || !this.#isFresh(this.#taken)) this.#taken = this.#take()
    return this.#taken.result
  }

  #isFresh({ changes, endedAt }: Taken<T>): boolean {
    return changes === this.#runner.changes && (endedAt === undefined || performance.now() - endedAt < BELIEVED_MS)
  }

  #take(): Taken<T> {
    const taken: Taken<T> = { result: this.#look(), changes: this.#runner.changes }
    taken.result.then(
      () => {
        taken.endedAt = performance.now()
      },
      () => {
        if (this.#taken === taken) this.#taken = undefined
      },
    )
    return taken
  }
}
