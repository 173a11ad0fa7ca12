import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatorError, RefusedError } from '../errors.js'
import type { Output } from '../output.js'
import { runsDir, stateDir } from '../paths.js'
import { findRun, isUnfinished, type JournalEvent, listRuns, type RunRecord } from '../runbook/journal.js'
import type { Toolbox } from '../toolbox.js'

/** A run in one line. */
export interface RunLine {
  id: string
  runbook: string
  instance: string
  at: string
  /** Like `done`, `undone`, or `unfinished` for one that waits to be resumed. */
  ended: string
  exitCode: number | null
}

/** A run with all that is known of it. */
export interface RunStory extends RunLine {
  options: object
  title: string
  host: string
  user: string
  toolVersion: string
  /** Seconds from its first to its last event. */
  seconds: number
  steps: { id: string; state: string }[]
  notes: Record<string, string>
  events: readonly JournalEvent[]
  /** What was said while it ran; empty where no log was kept. */
  log: string
}

/** Returns the runs of the instance, the newest first; of every instance where none is named. */
export async function runLines(instance: string | undefined): Promise<RunLine[]> {
  const records = (await Promise.all((await folders(instance)).map(listRuns))).flat()
  return records.map(lineOf).sort((a, b) => b.id.localeCompare(a.id))
}

/**
 * Returns the story of a run of the instance; of any instance where none is named.
 *
 * @throws RefusedError when there is no such run.
 */
export async function runStory(instance: string | undefined, id: string): Promise<RunStory> {
  for (const dir of await folders(instance)) {
    const record = await findRun(dir, id)
    if (record !== undefined) return storyOf(record, await readLog(join(dir, `${id}.log`)))
  }
  throw new RefusedError({
    code: 'no-such-run',
    message: `There is no run "${id}".`,
    next: 'mstdn-ops runs lists them.',
  })
}

async function folders(instance: string | undefined): Promise<string[]> {
  if (instance !== undefined) return [runsDir(instance)]
  const names = await readdir(stateDir()).catch(() => [])
  return names.map(name => runsDir(name))
}

function lineOf(record: RunRecord): RunLine {
  const { runId, runbook, instance, at } = record.header
  const ended = isUnfinished(record) ? 'unfinished' : (record.end?.end ?? 'unfinished')
  return { id: runId, runbook, instance, at, ended, exitCode: record.end?.exitCode ?? null }
}

function storyOf(record: RunRecord, log: string): RunStory {
  const { options, title, host, user, toolVersion, stepIds, at } = record.header
  const last = record.events.at(-1)?.at ?? at
  return {
    ...lineOf(record),
    ...{ options, title, host, user, toolVersion },
    seconds: (new Date(last).getTime() - new Date(at).getTime()) / 1000,
    steps: stepIds.map(id => ({ id, state: record.steps.get(id) ?? 'not reached' })),
    notes: Object.fromEntries(record.notes),
    events: record.events,
    log,
  }
}

function readLog(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}

/**
 * Returns the name of the chosen instance, or undefined where it cannot be opened (its engine is away, none was found in
 * this folder): then runs of every instance are meant, for looking back must always be possible.
 */
export async function chosenInstance(open: () => Promise<Toolbox>, output: Output): Promise<string | undefined> {
  try {
    return (await open()).instance.name
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    output.info(`${error.message} Runs of every instance are looked at.`)
    return undefined
  }
}
