import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, NotUndoneError, OperatorError, OutcomeUnknownError } from '../errors.js'
import type { Toolbox } from '../toolbox.js'
import { type Drawing, draw, UNDO } from './draw.js'
import type { Journal, RunRecord, StepState } from './journal.js'
import { settlementOf } from './settle.js'
import { Interrupted, type Interruption, watchSignals } from './signals.js'
import type { Step, StepContext } from './step.js'
import { type Ending, endOf, type Left, notTakenBack, verdict } from './verdict.js'

/**
 * The boundaries of a step. `started` and `acted` lie around its work, `before` and `after` around what the journal
 * says of it; `undo-…` likewise on the way back.
 */
export type Boundary =
  | 'before'
  | 'started'
  | 'acted'
  | 'after'
  | 'before-undo'
  | 'undo-started'
  | 'undo-acted'
  | 'after-undo'

/** Sees every boundary of a run; what tests use to end the process there. */
export type BoundaryObserver = (stepId: string, boundary: Boundary) => void

export interface TakenStep {
  id: string
  title: string
  state: 'planned' | 'done' | 'skipped'
  reason?: string
  irreversible?: string
}

export interface LoopParts {
  toolbox: Toolbox
  /** The runbook's name. */
  name: string
  runId: string
  /** See {@link Runbook.disposable}. */
  disposable?: boolean | undefined
  steps: readonly Step[]
  journal: Journal
  /** Where the run's log is kept. */
  dir: string
  reveal: StepContext['reveal']
  lockAgain: StepContext['lockAgain']
  observer?: BoundaryObserver
  /** Milliseconds between two looks at a step whose end was not seen. */
  pauseMs?: number
}

/** On the way back an interruption stops the undo after a step, never inside of one. */
const NEVER = new AbortController().signal
/** States of a step that was begun and has not been taken back. */
const BEGUN: readonly StepState[] = ['started', 'done', 'failed', 'undoing', 'undo-failed']
/** States of a step whose way back was begun. */
const UNDOING: readonly StepState[] = ['undoing', 'undo-failed']
/** States that do not tell whether the step's work stands. */
const UNSETTLED: readonly StepState[] = ['started', 'failed', 'undoing', 'undo-failed']

/** Takes the steps of a run in order, and their undo in reverse when one fails; the journal knows before each act. */
export class RunLoop {
  readonly taken: TakenStep[] = []
  readonly #parts: LoopParts
  readonly #pushed: Step[] = []
  /** The step that is under way, where it is shown. */
  #under: { step: Step; drawing: Drawing } | undefined
  #journalFailed = false
  #stop: AbortSignal = NEVER
  /** It was interrupted when nothing could be taken back any more. */
  #goesOn = false

  constructor(parts: LoopParts) {
    this.#parts = parts
  }

  /**
   * Takes every step that the journal does not call done.
   *
   * @throws the verdict of a run that failed or was interrupted, after its undo.
   */
  forward(before: RunRecord['steps'] = new Map()): Promise<void> {
    return this.#watched(async interruption => {
      const drawing = await this.#draw(this.#parts.name, this.#parts.steps)
      try {
        for (const step of this.#parts.steps) {
          await this.#heed(interruption)
          await this.#take(step, before.get(step.id), drawing)
        }
        if (this.#canGoBack()) await this.#heed(interruption)
      } catch (error) {
        await drawing.end()
        throw await this.#turnBack(error, interruption)
      }
      await drawing.end()
      await this.#endDone()
    })
  }

  /** Takes back what the journal says was begun, and returns the verdict. */
  back(record: RunRecord, cause: unknown): Promise<OperatorError> {
    const begun = (step: Step) => BEGUN.includes(record.steps.get(step.id) ?? 'undone')
    this.#pushed.push(...this.#parts.steps.filter(begun))
    return this.#watched(async interruption => {
      const goingBack = (step: Step) => UNDOING.includes(record.steps.get(step.id) ?? 'undone')
      const inUse = this.#pushed.some(goingBack) ? undefined : await this.#inUse()
      const { name: runbook, runId } = this.#parts
      if (inUse !== undefined) throw notTakenBack({ runbook, runId, inUse })
      return this.#undoAll(cause, interruption, record)
    })
  }

  /** An interruption takes nothing back that is in use: the run goes on to its end, which is not far. */
  async #heed(interruption: Interruption): Promise<void> {
    if (!interruption.stop.aborted || this.#goesOn) return
    const inUse = await this.#inUse()
    if (inUse === undefined) interruption.throwIfStopped()
    this.#goesOn = true
    this.#parts.toolbox.output.warn(`${inUse} Nothing is taken back: the run goes on to its end.`)
  }

  /** Returns what the run has come to: undone, or left as it is where it is in use. */
  async #turnBack(cause: unknown, interruption: Interruption): Promise<OperatorError> {
    const inUse = await this.#inUse()
    const step = this.#pushed.at(-1)
    if (inUse === undefined || step === undefined) return this.#undoAll(cause, interruption)
    return this.#end({
      runbook: this.#parts.name,
      runId: this.#parts.runId,
      cause,
      inUse,
      left: [{ step, why: inUse }],
    })
  }

  /** Returns why nothing may be taken back. What cannot be asked is taken for in use. */
  async #inUse(): Promise<string | undefined> {
    for (const step of this.#pushed) {
      const found = await step.inUse?.(this.#contextOf(step)).catch(messageOf)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Watches signals and keeps the log for the length of the work. A log that cannot be written stops nothing. */
  async #watched<T>(work: (interruption: Interruption) => Promise<T>): Promise<T> {
    const { toolbox, dir, runId, journal } = this.#parts
    const interruption = watchSignals(toolbox.output, text => this.#under?.drawing.progress(this.#under.step.id, text))
    this.#stop = interruption.stop
    const log = join(dir, `${runId}.log`)
    toolbox.output.copyTo(line => appendQuietly(log, line))
    try {
      return await work(interruption)
    } finally {
      interruption.stopWatching()
      toolbox.output.copyTo(undefined)
      await journal.close()
    }
  }

  /** After the last step an interruption undoes only what can be undone wholly; otherwise the work stands, finished. */
  #canGoBack(): boolean {
    const undoable = (step: Step) => step.undo !== undefined && step.irreversible === undefined
    return this.#pushed.every(step => step.effect === 'read' || undoable(step))
  }

  async #take(step: Step, before: StepState | undefined, drawing: Drawing): Promise<void> {
    const context = { ...this.#contextOf(step, drawing), stop: this.#stop }
    if (before === 'skipped') return this.#skip(step, 'not needed', drawing)
    if (before === 'done') return this.#alreadyDone(step, drawing)
    if (before !== undefined && UNSETTLED.includes(before)) {
      if (!(await step.done?.(context))) return this.#carryOut(step, context, drawing)
      await this.#parts.journal.step(step.id, 'done', 'found done on resume')
      return this.#alreadyDone(step, drawing)
    }
    const needed = (await step.needed?.(context)) ?? true
    if (needed === true) return this.#carryOut(step, context, drawing)
    await this.#parts.journal.step(step.id, 'skipped')
    this.#skip(step, needed === false ? 'not needed' : needed, drawing)
  }

  /** The undo is pushed before the step runs: a step that fails is usually half done. */
  async #carryOut(step: Step, context: StepContext, drawing: Drawing): Promise<void> {
    const { journal } = this.#parts
    this.#at(step, 'before')
    await journal.step(step.id, 'started')
    this.#pushed.push(step)
    this.#under = { step, drawing }
    drawing.start(step.id)
    this.#at(step, 'started')
    const how = await this.#ran(step, context, drawing)
    this.#at(step, 'acted')
    await journal.step(step.id, 'done', how)
    this.taken.push({ id: step.id, title: step.title, state: 'done' })
    drawing.done(step.id)
    this.#at(step, 'after')
  }

  /** Returns how the step's work was seen to be done, where its end was not. @throws what the step failed with. */
  async #ran(step: Step, context: StepContext, drawing: Drawing): Promise<string | undefined> {
    try {
      await step.run(context)
      return undefined
    } catch (error) {
      if (error instanceof OutcomeUnknownError) return await this.#settle(step, context, error, drawing)
      const nothing = step.atomic && !(error instanceof NotUndoneError)
      await this.#failed(step, error, drawing, nothing ? 'it changes all or nothing, and failed' : undefined)
      throw error
    }
  }

  /** The end of what the step had started was not seen: looking tells, or the outcome stays unknown. */
  async #settle(step: Step, context: StepContext, lost: OutcomeUnknownError, drawing: Drawing): Promise<string> {
    drawing.progress(step.id, `${messageOf(lost)} Looking what came of it.`)
    const settlement = await settlementOf(step, context, lost, this.#parts.pauseMs)
    if (settlement.state === 'done') {
      this.#parts.toolbox.output.warn(`${step.title}: ${messageOf(lost)} Looked: it is done.`)
      return 'its end was not seen; looked: it is done'
    }
    const nothing = settlement.state === 'not done' && step.undo === undefined
    await this.#failed(step, settlement.error, drawing, nothing ? 'looked: it did nothing' : undefined)
    throw settlement.error
  }

  /** Where it is known that a step without effect has nothing to be undone, that is said in `leftNothing`. */
  async #failed(step: Step, error: unknown, drawing: Drawing, leftNothing: string | undefined): Promise<void> {
    const { journal } = this.#parts
    drawing.fail(step.id, this.#clean(error))
    await this.#jot(() => journal.step(step.id, 'failed', this.#clean(error)))
    if (leftNothing === undefined) return
    this.#pushed.pop()
    await this.#jot(() => journal.step(step.id, 'undone', leftNothing))
  }

  #alreadyDone(step: Step, drawing: Drawing): void {
    this.#pushed.push(step)
    this.taken.push({ id: step.id, title: step.title, state: 'done', reason: 'done before' })
    drawing.skip(step.id, 'done before')
  }

  #skip(step: Step, reason: string, drawing: Drawing): void {
    this.taken.push({ id: step.id, title: step.title, state: 'skipped', reason })
    drawing.skip(step.id, reason)
  }

  async #endDone(): Promise<void> {
    try {
      await this.#parts.journal.end('done', 0)
    } catch (error) {
      throw new NotUndoneError({
        code: 'journal-not-written',
        message: `${this.#parts.name} is done, but its journal could not be closed.`,
        cause: messageOf(error),
        next: 'Make room on that disk, then: mstdn-ops resume',
      })
    }
  }

  /** Runs the pushed undos newest first, all of them, and returns what it came to. */
  async #undoAll(cause: unknown, interruption: Interruption, record?: RunRecord): Promise<OperatorError> {
    interruption.goingBack()
    await this.#jot(() => this.#parts.journal.undoing(this.#clean(cause)))
    const backwards = [...this.#pushed].reverse()
    const undoable = backwards.filter(step => step.undo)
    const drawing = undoable.length > 0 ? await this.#draw(UNDO, undoable) : undefined
    const left: Left[] = []
    for (const step of backwards) {
      const stopped = interruption.stopUndo ? 'not undone, a second interruption stopped it' : undefined
      left.push(...(await this.#takeBack(step, drawing, { stopped, state: record?.steps.get(step.id) })))
    }
    await drawing?.end()
    return await this.#end({ runbook: this.#parts.name, runId: this.#parts.runId, cause, left })
  }

  /** Returns what is left of the step: nothing, or the step itself with the reason. */
  async #takeBack(
    step: Step,
    drawing: Drawing | undefined,
    how: { stopped: string | undefined; state: StepState | undefined },
  ): Promise<Left[]> {
    if (step.undo === undefined && step.effect === 'read') return []
    if (step.undo !== undefined && drawing !== undefined && how.stopped === undefined) return this.#undo(step, drawing)
    if (step.undo === undefined && how.state === 'started' && (await this.#didNothing(step))) return []
    return [{ step, why: how.stopped ?? step.irreversible ?? 'has no undo' }]
  }

  /** A step of all or nothing that was under way when the process died: looking tells which. */
  async #didNothing(step: Step): Promise<boolean> {
    if (!step.atomic || step.done === undefined) return false
    const nothing = await step.done(this.#contextOf(step)).then(
      done => !done,
      () => false,
    )
    if (nothing) await this.#jot(() => this.#parts.journal.step(step.id, 'undone', 'found to have changed nothing'))
    return nothing
  }

  async #undo(step: Step, drawing: Drawing): Promise<Left[]> {
    const { journal } = this.#parts
    this.#at(step, 'before-undo')
    await this.#jot(() => journal.step(step.id, 'undoing'))
    this.#at(step, 'undo-started')
    this.#under = { step, drawing }
    drawing.start(step.id)
    try {
      await step.undo?.(this.#contextOf(step, drawing))
    } catch (error) {
      drawing.fail(step.id, this.#clean(error))
      await this.#jot(() => journal.step(step.id, 'undo-failed', this.#clean(error)))
      return [{ step, why: `its undo failed: ${withReason(error)}` }]
    }
    this.#at(step, 'undo-acted')
    await this.#jot(() => journal.step(step.id, 'undone'))
    drawing.done(step.id)
    this.#at(step, 'after-undo')
    return []
  }

  async #end(seen: Omit<Ending, 'journalFailed' | 'disposable'>): Promise<OperatorError> {
    const { journal, disposable = false } = this.#parts
    const ending = { ...seen, disposable }
    const { exitCode } = verdict({ ...ending, journalFailed: this.#journalFailed })
    await this.#jot(() => journal.end(endOf(ending), exitCode))
    // It still calls steps done that have been undone: going on with it would skip them.
    if (this.#journalFailed && ending.left.length === 0) await journal.setAside().catch(() => undefined)
    return verdict({ ...ending, journalFailed: this.#journalFailed })
  }

  /** On the way back a journal that cannot be written (a full disk) is told once and stops nothing. */
  async #jot(write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch (error) {
      if (!this.#journalFailed) this.#parts.toolbox.output.warn(`${messageOf(error)} Undoing goes on without it.`)
      this.#journalFailed = true
    }
  }

  #draw(heading: string, steps: readonly Step[]): Promise<Drawing> {
    return draw(this.#parts.toolbox.output, heading, steps)
  }

  #contextOf(step: Step, drawing?: Drawing): StepContext {
    const { toolbox, runId, journal, reveal, lockAgain } = this.#parts
    return {
      toolbox,
      runId,
      dryRun: false,
      note: (key, value) => journal.note(key, value),
      noted: key => journal.noted(key),
      reveal,
      progress: text => drawing?.progress(step.id, text),
      stop: NEVER,
      lockAgain,
    }
  }

  #at(step: Step, boundary: Boundary): void {
    this.#parts.observer?.(step.id, boundary)
  }

  #clean(error: unknown): string {
    return this.#parts.toolbox.output.clean(messageOf(error))
  }
}

/** Returns the reason of a run that died on its way back, as the journal tells it. */
export function reasonToGoBack(record: RunRecord): Error {
  return record.undoing === new Interrupted().message ? new Interrupted() : new Error(record.undoing)
}

/** Returns the message, and why, where that is known: of an undo that failed nothing else is shown. */
function withReason(error: unknown): string {
  const why = error instanceof OperatorError ? error.why : undefined
  return why === undefined ? messageOf(error) : `${messageOf(error)} ${why}`
}

function appendQuietly(log: string, line: string): void {
  try {
    appendFileSync(log, `${line}\n`, { mode: 0o600 })
  } catch {
    // The log is for reading later; the journal is what counts.
  }
}
