import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf, type OperatorError, RefusedError, UndoneError } from '../errors.js'
import { runsDir } from '../paths.js'
import type { Toolbox } from '../toolbox.js'
import { toolVersion } from '../version.js'
import {
  assertResumable,
  findRun,
  isUnfinished,
  Journal,
  newRunId,
  ownFilesOf,
  type RunRecord,
  unfinishedRun,
} from './journal.js'
import { waitForLeftovers } from './leftovers.js'
import { takeLock } from './lock.js'
import { type BoundaryObserver, RunLoop, reasonToGoBack, type TakenStep } from './loop.js'
import type { Runbook, Step, StepContext } from './step.js'

export type { Boundary, BoundaryObserver } from './loop.js'

export interface RunOptions {
  observer?: BoundaryObserver
  /** Milliseconds between two looks at a step whose end was not seen; tests need not wait. */
  pauseMs?: number
}

export interface RunReport<Result extends object = object> {
  runId: string | null
  runbook: string
  dryRun: boolean
  /** Set where a resumed run was taken back, as it was asked to be. */
  undone?: boolean
  steps: TakenStep[]
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
    const report = emptyReport<R>(runbook, runId)
    toolbox.runner.runId = runId
    const { name, disposable } = runbook
    const parts = { toolbox, name, disposable, runId, steps, journal, dir, lockAgain: lock.again, ...extra }
    await loopOf(parts, report).forward()
    return await completed(toolbox, runbook, options, journal, report)
  } finally {
    await lock.release()
  }
}

/**
 * Goes on with a run that died: forward, or back when it was being undone or `undo` is asked for.
 *
 * @throws RefusedError when it has ended meanwhile, is of another instance, or its steps are not the ones of this version.
 */
export async function resumeRun<O extends object, R extends object>(
  toolbox: Toolbox,
  runbook: Runbook<O, R>,
  runId: string,
  extra: RunOptions & { undo?: boolean } = {},
): Promise<RunReport<R>> {
  const dir = runsDir(toolbox.instance.name)
  const lock = await takeLock(toolbox, dirname(dir), { runId, command: `resume of ${runbook.name}` })
  try {
    // Under the lock, for another resume may have ended it since it was found.
    const record = await stillUnfinished(dir, runId)
    refuseOfAnother(toolbox, record)
    await waitForLeftovers(runId, toolbox.output)
    toolbox.runner.runId = runId
    const options = record.header.options as O
    const steps = await runbook.steps(toolbox, options)
    assertResumable(record, toolVersion(), steps, extra)
    const journal = await Journal.reopen(dir, record)
    const report = emptyReport<R>(runbook, runId)
    const { observer, pauseMs } = extra
    const lockAgain = lock.again
    const parts = { toolbox, name: runbook.name, runId, steps, journal, dir, lockAgain, observer, pauseMs }
    const diedUndoing = record.end === undefined && record.undoing !== undefined
    if (extra.undo || diedUndoing) return await goBack(parts, report, record, extra.undo ?? false)
    await journal.forward()
    await loopOf(parts, report).forward(record.steps)
    return await completed(toolbox, runbook, options, journal, report)
  } finally {
    await lock.release()
  }
}

/** Ends a run that nobody will finish, with things left as they are. @throws RefusedError as {@link resumeRun} does. */
export async function abandonRun(toolbox: Toolbox, runId: string): Promise<void> {
  const dir = runsDir(toolbox.instance.name)
  const lock = await takeLock(toolbox, dirname(dir), { runId, command: 'resume --abandon' })
  try {
    const record = await stillUnfinished(dir, runId)
    refuseOfAnother(toolbox, record)
    const journal = await Journal.reopen(dir, record)
    await journal.end('abandoned', 0).finally(() => journal.close())
    // Nobody goes on with it, and there may be keys in them.
    await rm(ownFilesOf(dir, runId), { recursive: true, force: true })
  } finally {
    await lock.release()
  }
}

async function stillUnfinished(dir: string, runId: string): Promise<RunRecord> {
  const record = await findRun(dir, runId)
  if (record && isUnfinished(record)) return record
  throw new RefusedError({
    code: 'run-has-ended',
    message: `Run ${runId} has ended meanwhile: there is nothing to resume.`,
    next: `mstdn-ops runs:show ${runId}`,
  })
}

/** Two instances may have got the same name, and with it the same journals. */
function refuseOfAnother({ backend }: Toolbox, { header }: RunRecord): void {
  if (placeless(backend.title) === placeless(header.title)) return
  throw new RefusedError({
    code: 'run-of-another-instance',
    message: `Run ${header.runId} is of another instance: ${header.title}.`,
    cause: `This is ${backend.title}.`,
    next: 'Choose the instance of the run as it was chosen then: -i, -C, --app or --backend.',
  })
}

/** Without its folder, for one project can be reached by several paths. */
function placeless(title: string): string {
  return title.split(' in ')[0] ?? title
}

type Parts = Omit<ConstructorParameters<typeof RunLoop>[0], 'reveal'>

function loopOf<R extends object>(parts: Parts, report: RunReport<R>): RunLoop {
  const reveal = (key: string, value: string) => {
    report.revealed[key] = value
  }
  const loop = new RunLoop({ ...parts, reveal })
  report.steps = loop.taken
  return loop
}

async function goBack<R extends object>(
  parts: Parts,
  report: RunReport<R>,
  record: RunRecord,
  asked: boolean,
): Promise<RunReport<R>> {
  const reason = asked ? new Error('it was asked to be taken back') : reasonToGoBack(record)
  const error = await loopOf(parts, report).back(record, reason)
  if (asked && error instanceof UndoneError) return finished({ ...report, undone: true }, parts.toolbox)
  throw error
}

/** The work stands: a result that cannot be read is told, and takes nothing back. */
async function completed<O extends object, R extends object>(
  toolbox: Toolbox,
  runbook: Runbook<O, R>,
  options: O,
  journal: Journal,
  report: RunReport<R>,
): Promise<RunReport<R>> {
  try {
    report.result = await runbook.result(toolbox, options, key => journal.noted(key))
  } catch (error) {
    toolbox.output.warn(`${runbook.name} is done, but its result could not be read: ${messageOf(error)}`)
  }
  return finished(report, toolbox)
}

/** Goes through the steps with every write recorded instead of carried out. */
async function planRun<O extends object, R extends object>(
  toolbox: Toolbox,
  runbook: Runbook<O, R>,
  options: O,
): Promise<RunReport<R>> {
  await refuseUnfinished(runsDir(toolbox.instance.name))
  await runbook.check?.(toolbox, options)
  const report = { ...emptyReport<R>(runbook, null), dryRun: true }
  const context = planContext(toolbox)
  for (const step of await runbook.steps(toolbox, options)) report.steps.push(await planned(step, context))
  return finished(report, toolbox)
}

async function planned(step: Step, context: StepContext): Promise<TakenStep> {
  const needed = (await step.needed?.(context)) ?? true
  const { id, title, irreversible } = step
  const base = { id, title, ...(irreversible ? { irreversible } : {}) }
  if (needed !== true) return { ...base, state: 'skipped', reason: needed === false ? 'not needed' : needed }
  await step.run(context)
  return { ...base, state: 'planned' }
}

function planContext(toolbox: Toolbox): StepContext {
  const notes = new Map<string, string>()
  return {
    toolbox,
    runId: 'RUN-ID',
    dryRun: true,
    note: async (key, value) => void notes.set(key, value),
    noted: key => notes.get(key),
    reveal: () => undefined,
    progress: () => undefined,
    stop: new AbortController().signal,
    lockAgain: async () => undefined,
  }
}

function headerOf(
  toolbox: Toolbox,
  runbook: { name: string; disposable?: boolean },
  options: object,
  runId: string,
  steps: readonly Step[],
) {
  return {
    runId,
    runbook: runbook.name,
    options,
    instance: toolbox.instance.name,
    title: toolbox.backend.title,
    toolVersion: toolVersion(),
    stepIds: steps.map(step => step.id),
    ...(runbook.disposable ? { disposable: true } : {}),
    at: toolbox.clock.now().toISOString(),
  }
}

function emptyReport<R extends object>(runbook: { name: string }, runId: string | null): RunReport<R> {
  return {
    runId,
    runbook: runbook.name,
    dryRun: false,
    steps: [],
    changes: [],
    byHand: [],
    result: null,
    revealed: {},
  }
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
  if (record !== undefined) throw unfinishedError(record)
}

/** Returns what is said of a run that is in the way of every other. */
export function unfinishedError({ header, end }: RunRecord): OperatorError {
  const what = end === undefined ? `died on ${header.host}` : 'was left half undone'
  return new RefusedError({
    code: 'unfinished-run',
    message: `Run ${header.runId} (${header.runbook}) has not ended: it ${what}.`,
    cause: 'Until it is finished or undone, no other change is made.',
    next: 'mstdn-ops resume (goes on with it), mstdn-ops resume --undo (takes it back), or mstdn-ops resume --abandon (leaves things as they are)',
  })
}
