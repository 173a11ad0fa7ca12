import { appendFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  InterruptedError,
  messageOf,
  NotUndoneError,
  OperatorError,
  OutcomeUnknownError,
  RefusedError,
  UndoneError,
} from '../errors.js'
import { runsDir } from '../paths.js'
import type { Toolbox } from '../toolbox.js'
import { toolVersion } from '../version.js'
import { type Drawing, draw } from './draw.js'
import { assertResumable, Journal, newRunId, type RunEnd, type RunRecord, unfinishedRun } from './journal.js'
import { takeLock } from './lock.js'
import { type Interruption, watchSignals } from './signals.js'
import type { Runbook, Step, StepContext } from './step.js'

/** Sees every boundary of a run; what tests use to end the process there. */
export type BoundaryObserver = (stepId: string, boundary: 'before' | 'after' | 'before-undo' | 'after-undo') => void

export interface RunOptions {
  observer?: BoundaryObserver
}

export interface RunReport<Result extends object = object> {
  runId: string | null
  runbook: string
  dryRun: boolean
  steps: { id: string; title: string; state: 'planned' | 'done' | 'skipped'; reason?: string; irreversible?: string }[]
  /** The exact commands and statements that changed (or would change) something. */
  changes: string[]
  byHand: string[]
  result: Result | null
  /** What only the operator may see and nothing writes down, like a new password. */
  revealed: Record<string, string>
}

/** Carries out a runbook: lock, journal, steps, and their undo in reverse when one fails. */
export async function runRunbook<O extends object, R extends object>(
  toolbox: Toolbox,
  runbook: Runbook<O, R>,
  options: O,
  extra: RunOptions = {},
): Promise<RunReport<R>> {
  if (toolbox.dryRun) return planRun(toolbox, runbook, options)
  const dir = runsDir(toolbox.instance.name)
  const runId = newRunId(toolbox.clock.now())
  const lock = await takeLock(toolbox, dirname(dir), { runId, command: runbook.name })
  try {
    await refuseUnfinished(dir)
    await runbook.check?.(toolbox, options)
    const steps = await runbook.steps(toolbox, options)
    const journal = await Journal.create(dir, headerOf(toolbox, runbook, options, runId, steps))
    const run = new Run(toolbox, runbook, options, steps, journal, runId, dir, extra)
    return await run.forward(new Map())
  } finally {
    await lock.release()
  }
}

/** Goes on with a run that died: forward, or back when it was being undone or `undo` is asked for. */
export async function resumeRun<O extends object, R extends object>(
  toolbox: Toolbox,
  runbook: Runbook<O, R>,
  record: RunRecord,
  extra: RunOptions & { undo?: boolean } = {},
): Promise<RunReport<R>> {
  const dir = runsDir(toolbox.instance.name)
  const options = record.header.options as O
  const runId = record.header.runId
  const lock = await takeLock(toolbox, dirname(dir), { runId, command: `resume of ${runbook.name}` })
  try {
    const steps = await runbook.steps(toolbox, options)
    if (!extra.undo)
      assertResumable(
        record,
        toolVersion(),
        steps.map(step => step.id),
      )
    const journal = await Journal.reopen(dir, record)
    const run = new Run(toolbox, runbook, options, steps, journal, runId, dir, extra)
    const diedUndoing = record.end === undefined && record.undoing !== undefined
    if (extra.undo || diedUndoing) return await run.back(record)
    await journal.forward()
    return await run.forward(record.steps)
  } finally {
    await lock.release()
  }
}

class Run<O extends object, R extends object> {
  readonly #pushed: Step[] = []
  readonly #report: RunReport<R>
  readonly #contexts: (drawing: Drawing, step: Step) => StepContext

  constructor(
    readonly toolbox: Toolbox,
    readonly runbook: Runbook<O, R>,
    readonly options: O,
    readonly steps: readonly Step[],
    readonly journal: Journal,
    readonly runId: string,
    readonly dir: string,
    readonly extra: RunOptions,
  ) {
    this.#report = emptyReport(runbook, runId)
    const reveal = (key: string, value: string) => {
      this.#report.revealed[key] = value
    }
    this.#contexts = (drawing, step) => contextOf(toolbox, journal, runId, drawing, step, reveal)
    toolbox.output.copyTo(line => appendFileSync(join(dir, `${runId}.log`), `${line}\n`, { mode: 0o600 }))
  }

  /** Takes the steps in order; the ones that the journal calls done are not repeated. */
  async forward(before: RunRecord['steps']): Promise<RunReport<R>> {
    const interruption = watchSignals(this.toolbox.output)
    const drawing = await draw(this.toolbox.output, this.runbook.name, this.steps)
    try {
      for (const step of this.steps) {
        interruption.throwIfStopped()
        await this.#take(step, before.get(step.id), drawing)
      }
      if (this.#canGoBack()) interruption.throwIfStopped()
      await drawing.end()
      return await this.#finish()
    } catch (error) {
      await drawing.end()
      return await this.#undoAll(error, interruption)
    } finally {
      interruption.stopWatching()
      await this.journal.close()
      this.toolbox.output.copyTo(undefined)
    }
  }

  /** After the last step an interruption undoes only what can be undone wholly; otherwise the work stands, finished. */
  #canGoBack(): boolean {
    return this.#pushed.every(step => step.undo !== undefined || step.effect === 'read')
  }

  /** Undoes what the journal says was begun. */
  async back(record: RunRecord): Promise<RunReport<R>> {
    const interruption = watchSignals(this.toolbox.output)
    const begun: readonly string[] = ['started', 'done', 'failed', 'undoing', 'undo-failed']
    this.#pushed.push(...this.steps.filter(step => begun.includes(record.steps.get(step.id) ?? '')))
    try {
      const reason = record.undoing ?? 'asked for by `resume --undo`'
      return await this.#undoAll(new Error(reason), interruption, record)
    } finally {
      interruption.stopWatching()
      await this.journal.close()
      this.toolbox.output.copyTo(undefined)
    }
  }

  async #take(step: Step, before: string | undefined, drawing: Drawing): Promise<void> {
    const context = this.#contexts(drawing, step)
    if (before === 'skipped') return this.#skip(step, 'not needed', drawing)
    if (before === 'done') return this.#alreadyDone(step, drawing)
    if (before === 'started' && (await step.done?.(context))) {
      await this.journal.step(step.id, 'done', 'found done on resume')
      return this.#alreadyDone(step, drawing)
    }
    if (before === undefined) {
      const needed = (await step.needed?.(context)) ?? true
      if (needed !== true) {
        await this.journal.step(step.id, 'skipped')
        return this.#skip(step, needed === false ? 'not needed' : needed, drawing)
      }
    }
    await this.#carryOut(step, context, drawing)
  }

  /** The undo is pushed before the step runs: a step that fails is usually half done. */
  async #carryOut(step: Step, context: StepContext, drawing: Drawing): Promise<void> {
    this.extra.observer?.(step.id, 'before')
    await this.journal.step(step.id, 'started')
    this.#pushed.push(step)
    drawing.start(step.id)
    try {
      await step.run(context)
    } catch (error) {
      await this.journal.step(step.id, 'failed', this.#clean(error))
      drawing.fail(step.id, this.#clean(error))
      if (step.atomic && !(error instanceof OutcomeUnknownError)) this.#pushed.pop()
      throw error
    }
    await this.journal.step(step.id, 'done')
    this.#report.steps.push({ id: step.id, title: step.title, state: 'done' })
    drawing.done(step.id)
    this.extra.observer?.(step.id, 'after')
  }

  #alreadyDone(step: Step, drawing: Drawing): void {
    this.#pushed.push(step)
    this.#report.steps.push({ id: step.id, title: step.title, state: 'done', reason: 'done before' })
    drawing.skip(step.id, 'done before')
  }

  #skip(step: Step, reason: string, drawing: Drawing): void {
    this.#report.steps.push({ id: step.id, title: step.title, state: 'skipped', reason })
    drawing.skip(step.id, reason)
  }

  async #finish(): Promise<RunReport<R>> {
    this.#report.result = await this.runbook.result(this.toolbox, this.options, key => this.journal.noted(key))
    await this.journal.end('done', 0)
    return finished(this.#report, this.toolbox)
  }

  /** Runs the pushed undos newest first, all of them, and then tells the truth by the error it throws. */
  async #undoAll(cause: unknown, interruption: Interruption, record?: RunRecord): Promise<never> {
    await this.journal.undoing(this.#clean(cause))
    const drawing = await draw(this.toolbox.output, 'Undo', this.#pushed.filter(step => step.undo).reverse())
    const left: Left[] = []
    for (const step of [...this.#pushed].reverse()) {
      if (record?.steps.get(step.id) === 'undone') continue
      if (interruption.stopUndo) left.push({ step, why: 'not undone, a second interruption stopped it' })
      else left.push(...(await this.#undo(step, drawing)))
    }
    await drawing.end()
    return await this.#end(cause, interruption, left)
  }

  async #undo(step: Step, drawing: Drawing): Promise<Left[]> {
    if (step.undo === undefined)
      return step.effect === 'read' ? [] : [{ step, why: step.irreversible ?? 'has no undo' }]
    this.extra.observer?.(step.id, 'before-undo')
    await this.journal.step(step.id, 'undoing')
    try {
      await step.undo(this.#contexts(drawing, step))
      await this.journal.step(step.id, 'undone')
      drawing.done(step.id)
      this.extra.observer?.(step.id, 'after-undo')
      return []
    } catch (error) {
      await this.journal.step(step.id, 'undo-failed', this.#clean(error))
      drawing.fail(step.id, this.#clean(error))
      return [{ step, why: messageOf(error) }]
    }
  }

  async #end(cause: unknown, interruption: Interruption, left: readonly Left[]): Promise<never> {
    const error = verdict(this.runbook.name, this.runId, cause, interruption.stopped, left)
    await this.journal.end(this.#endOf(error, left), error.exitCode)
    throw error
  }

  #endOf(error: OperatorError, left: readonly Left[]): RunEnd {
    if (error instanceof InterruptedError) return 'interrupted'
    if (error instanceof UndoneError) return 'undone'
    return left.every(({ step }) => step.repeatable) ? 'left' : 'not-undone'
  }

  #clean(error: unknown): string {
    return this.toolbox.output.clean(messageOf(error))
  }
}

/** A step that stands after the undo, wholly or in part. */
interface Left {
  step: Step
  why: string
}

function verdict(
  runbook: string,
  runId: string,
  cause: unknown,
  interrupted: boolean,
  left: readonly Left[],
): OperatorError {
  const parts = partsOf(cause)
  if (left.length > 0) {
    const lost = cause instanceof OutcomeUnknownError ? OutcomeUnknownError : NotUndoneError
    return new lost({
      code: parts.code,
      message: `${runbook} failed: ${parts.message}`,
      cause: [parts.cause, `Left as it is: ${left.map(({ step, why }) => `${step.title} (${why})`).join('; ')}.`]
        .filter(Boolean)
        .join(' '),
      next:
        parts.next ??
        `mstdn-ops resume (goes on with run ${runId}), mstdn-ops resume --undo, or mstdn-ops resume --abandon`,
    })
  }
  if (interrupted) {
    return new InterruptedError({
      code: 'interrupted',
      message: `${runbook} was interrupted, and undone: things are as they were before.`,
    })
  }
  return new UndoneError({
    code: parts.code,
    message: `${runbook} failed: ${parts.message}`,
    cause: [parts.cause, 'What had been done was undone: things are as they were before.'].filter(Boolean).join(' '),
    next: parts.next ?? `mstdn-ops runs:show ${runId}`,
  })
}

function partsOf(cause: unknown): { code: string; message: string; cause?: string; next?: string } {
  if (!(cause instanceof OperatorError)) return { code: 'step-failed', message: messageOf(cause) }
  return {
    code: cause.code,
    message: cause.message,
    ...(cause.why === undefined ? {} : { cause: cause.why }),
    ...(cause.next === undefined ? {} : { next: cause.next }),
  }
}

/** Goes through the steps with every write recorded instead of carried out. */
async function planRun<O extends object, R extends object>(
  toolbox: Toolbox,
  runbook: Runbook<O, R>,
  options: O,
): Promise<RunReport<R>> {
  await refuseUnfinished(runsDir(toolbox.instance.name))
  await runbook.check?.(toolbox, options)
  const report = emptyReport<R>(runbook, null)
  const notes = new Map<string, string>()
  for (const step of await runbook.steps(toolbox, options)) {
    const context: StepContext = {
      toolbox,
      runId: 'RUN-ID',
      dryRun: true,
      note: async (key, value) => void notes.set(key, value),
      noted: key => notes.get(key),
      reveal: () => undefined,
      progress: () => undefined,
    }
    const needed = (await step.needed?.(context)) ?? true
    const base = { id: step.id, title: step.title, ...(step.irreversible ? { irreversible: step.irreversible } : {}) }
    if (needed === true) await step.run(context)
    const reason = needed === false ? 'not needed' : needed === true ? undefined : needed
    report.steps.push(reason === undefined ? { ...base, state: 'planned' } : { ...base, state: 'skipped', reason })
  }
  return finished(Object.assign(report, { dryRun: true }), toolbox)
}

function contextOf(
  toolbox: Toolbox,
  journal: Journal,
  runId: string,
  drawing: Drawing,
  step: Step,
  reveal: StepContext['reveal'],
): StepContext {
  return {
    toolbox,
    runId,
    dryRun: false,
    note: (key, value) => journal.note(key, value),
    noted: key => journal.noted(key),
    reveal,
    progress: text => drawing.progress(step.id, text),
  }
}

function headerOf(toolbox: Toolbox, runbook: { name: string }, options: object, runId: string, steps: readonly Step[]) {
  return {
    runId,
    runbook: runbook.name,
    options,
    instance: toolbox.instance.name,
    title: toolbox.backend.title,
    toolVersion: toolVersion(),
    stepIds: steps.map(step => step.id),
    at: toolbox.clock.now().toISOString(),
  }
}

function emptyReport<R extends object>(runbook: { name: string }, runId: string | null): RunReport<R> {
  return { runId, runbook: runbook.name, dryRun: false, steps: [], changes: [], byHand: [], result: null, revealed: {} }
}

function finished<R extends object>(report: RunReport<R>, toolbox: Toolbox): RunReport<R> {
  const clean = (line: string) => toolbox.output.redactor.text(line)
  return {
    ...report,
    changes: toolbox.ledger.entries.map(entry => clean(entry.exact)),
    byHand: toolbox.ledger.byHand().map(clean),
  }
}

async function refuseUnfinished(dir: string): Promise<void> {
  const record = await unfinishedRun(dir)
  if (record === undefined) return
  throw new RefusedError({
    code: 'unfinished-run',
    message: `Run ${record.header.runId} (${record.header.runbook}) has not ended: it died on ${record.header.host}, or was left half undone.`,
    cause: 'Until it is finished or undone, no other change is made.',
    next: 'mstdn-ops resume (goes on with it), mstdn-ops resume --undo (takes it back), or mstdn-ops resume --abandon (leaves things as they are)',
  })
}
