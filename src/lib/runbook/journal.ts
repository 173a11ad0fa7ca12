import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, readFile, rename } from 'node:fs/promises'
import { hostname, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { messageOf, RefusedError } from '../errors.js'
import type { Step } from './step.js'

/** The first line of a journal: what is needed to rebuild the run. Options never hold secrets. */
export interface JournalHeader {
  event: 'run'
  runId: string
  runbook: string
  options: object
  instance: string
  title: string
  toolVersion: string
  stepIds: readonly string[]
  /** See {@link Runbook.disposable}. */
  disposable?: boolean
  host: string
  user: string
  pid: number
  at: string
}

export type StepState = 'started' | 'done' | 'skipped' | 'failed' | 'undoing' | 'undone' | 'undo-failed'
/** `not-undone` holds up every other run until it is resumed; `left` (a repeatable step failed) does not. */
export type RunEnd = 'done' | 'undone' | 'not-undone' | 'interrupted' | 'abandoned' | 'left'

interface StepEvent {
  event: 'step'
  step: string
  state: StepState
  reason?: string
  at: string
}
interface NoteEvent {
  event: 'note'
  key: string
  value: string
  at: string
}
interface EndEvent {
  event: 'end'
  end: RunEnd
  exitCode: number
  at: string
}
interface UndoEvent {
  event: 'undo'
  reason: string
  at: string
}
/** A resume that goes forward, also after an undo that could not be finished. */
interface ForwardEvent {
  event: 'forward'
  at: string
}
export type JournalEvent = JournalHeader | StepEvent | NoteEvent | EndEvent | UndoEvent | ForwardEvent

/** A run as its journal tells it. */
export interface RunRecord {
  header: JournalHeader
  events: readonly JournalEvent[]
  steps: ReadonlyMap<string, StepState>
  notes: ReadonlyMap<string, string>
  /** Undefined while the run is under way, and when it died. */
  end: EndEvent | undefined
  /** Why the run had begun to undo; undefined while it went forward. */
  undoing: string | undefined
}

/** Returns a new run id that sorts by time, like `20261122-051234-9f3a`. */
export function newRunId(now: Date): string {
  const digits = now.toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 15)
  return `${digits}-${randomBytes(2).toString('hex')}`
}

/** One append-only file per run (0600), on disk before and after each step. */
export class Journal {
  readonly path: string
  readonly #file: FileHandle
  readonly #notes: Map<string, string>
  /** A write that failed may have left half a line. */
  #torn = false

  private constructor(path: string, file: FileHandle, notes: ReadonlyMap<string, string>) {
    this.path = path
    this.#file = file
    this.#notes = new Map(notes)
  }

  /** Starts the journal of a new run; the header is on disk when this returns. */
  static async create(dir: string, header: Omit<JournalHeader, 'event' | 'host' | 'user' | 'pid'>): Promise<Journal> {
    await makeFolder(dir)
    const path = join(dir, `${header.runId}.jsonl`)
    const journal = new Journal(path, await open(path, 'ax', 0o600), new Map())
    try {
      await journal.#append({ event: 'run', ...whoAmI(), ...header })
      await syncDir(dir)
      return journal
    } catch (error) {
      await journal.close()
      throw error
    }
  }

  /** Goes on with the journal of a run that died. */
  static async reopen(dir: string, record: RunRecord): Promise<Journal> {
    const path = join(dir, `${record.header.runId}.jsonl`)
    const text = await readFile(path, 'utf8')
    const file = await open(path, 'a', 0o600)
    // A kill in the middle of a write leaves a line without its end: the next event starts on a line of its own.
    if (!text.endsWith('\n')) await file.appendFile('\n')
    return new Journal(path, file, record.notes)
  }

  async step(step: string, state: StepState, reason?: string): Promise<void> {
    await this.#append({ event: 'step', step, state, ...(reason === undefined ? {} : { reason }), at: now() })
  }

  async note(key: string, value: string): Promise<void> {
    this.#notes.set(key, value)
    await this.#append({ event: 'note', key, value, at: now() })
  }

  noted(key: string): string | undefined {
    return this.#notes.get(key)
  }

  async undoing(reason: string): Promise<void> {
    await this.#append({ event: 'undo', reason, at: now() })
  }

  async forward(): Promise<void> {
    await this.#append({ event: 'forward', at: now() })
  }

  async end(end: RunEnd, exitCode: number): Promise<void> {
    await this.#append({ event: 'end', end, exitCode, at: now() })
  }

  /** Takes the journal out of the way of other runs, where it could not be written to the end. Needs no room. */
  async setAside(): Promise<void> {
    await rename(this.path, `${this.path}.incomplete`)
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  async #append(event: JournalEvent): Promise<void> {
    try {
      await this.#file.appendFile(`${this.#torn ? '\n' : ''}${JSON.stringify(event)}\n`)
      await this.#file.datasync()
      this.#torn = false
    } catch (error) {
      this.#torn = true
      throw stateProblem(`The journal ${this.path} cannot be written.`, error)
    }
  }
}

/**
 * Returns the runs of a folder, oldest first.
 *
 * @throws RefusedError naming a journal that cannot be read.
 */
export async function listRuns(dir: string): Promise<RunRecord[]> {
  const records = await Promise.all((await journalsOf(dir)).map(name => readRun(join(dir, name))))
  return records.filter(record => record !== undefined)
}

/** Returns the folder, beside its journal, of what a run writes down for itself alone; it goes when the run has ended. */
export function ownFilesOf(dir: string, runId: string): string {
  return join(dir, `${runId}.rows`)
}

/** Returns the run with that id, or undefined. */
export async function findRun(dir: string, runId: string): Promise<RunRecord | undefined> {
  const names = await journalsOf(dir)
  return names.includes(`${runId}.jsonl`) ? readRun(join(dir, `${runId}.jsonl`)) : undefined
}

/** An unfinished run holds up all others, so that it is among the newest. */
const LOOKED_AT = 20

/** Returns the run that has neither ended nor was undone, if there is one. */
export async function unfinishedRun(dir: string): Promise<RunRecord | undefined> {
  for (const name of (await journalsOf(dir)).reverse().slice(0, LOOKED_AT)) {
    const record = await readRun(join(dir, name))
    if (record && isUnfinished(record)) return record
  }
  return undefined
}

/** Whether the run died, or was left half undone, and somebody has to see to it. */
export function isUnfinished({ end, header }: RunRecord): boolean {
  return header.disposable !== true && (end === undefined || end.end === 'not-undone')
}

async function journalsOf(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw stateProblem(`The journals in ${dir} cannot be read.`, error)
  })
  return names.filter(name => name.endsWith('.jsonl')).sort()
}

async function readRun(path: string): Promise<RunRecord | undefined> {
  const text = await readFile(path, 'utf8').catch(error => {
    throw stateProblem(`The journal ${path} cannot be read.`, error)
  })
  const events = text.split('\n').flatMap(parseEvent)
  const header = events[0]
  // Killed before the header was on disk: nothing had happened yet.
  if (header?.event !== 'run') return undefined
  return recordOf(header, events)
}

/** Returns the refusal of work whose journal or lock cannot be kept: a full disk, a folder of another user. */
export function stateProblem(message: string, error: unknown): RefusedError {
  return new RefusedError({
    code: 'state-not-kept',
    message,
    cause: messageOf(error),
    next: 'Make room on its disk, or give its folder to this user; XDG_STATE_HOME chooses another one.',
  })
}

function recordOf(header: JournalHeader, events: readonly JournalEvent[]): RunRecord {
  const steps = new Map<string, StepState>()
  const notes = new Map<string, string>()
  let end: EndEvent | undefined
  let undoing: string | undefined
  for (const event of events) {
    if (event.event === 'step') steps.set(event.step, event.state)
    if (event.event === 'note') notes.set(event.key, event.value)
    if (event.event === 'undo') undoing = event.reason
    if (event.event === 'forward') undoing = undefined
    end = event.event === 'end' ? event : undefined
  }
  return { header, events, steps, notes, end, undoing }
}

/** A line cut off by a kill is no event. */
function parseEvent(line: string): JournalEvent[] {
  try {
    return [JSON.parse(line) as JournalEvent]
  } catch {
    return []
  }
}

/**
 * Refuses a resume by another version of the tool, or of steps that are no longer the same. Taking back asks less: every
 * step that was begun must be known.
 */
export function assertResumable(
  record: RunRecord,
  toolVersion: string,
  steps: readonly Step[],
  how: { undo?: boolean },
): void {
  const { header } = record
  const ids = steps.map(step => step.id)
  const unknown = [...record.steps.keys()].filter(id => !ids.includes(id))
  if (how.undo ? unknown.length === 0 : header.toolVersion === toolVersion && header.stepIds.join() === ids.join())
    return
  if (header.toolVersion !== toolVersion) throw otherVersion(header, toolVersion)
  throw new RefusedError({
    code: 'resume-other-steps',
    message: `Run ${header.runId} had other steps than would be taken now.`,
    cause: `Then: ${header.stepIds.join(', ')}. Now: ${ids.join(', ')}.`,
    next: how.undo
      ? 'mstdn-ops resume --abandon (leaves things as they are)'
      : 'mstdn-ops resume --undo (takes back what was done)',
  })
}

function otherVersion({ runId, toolVersion: then }: JournalHeader, toolVersion: string): RefusedError {
  return new RefusedError({
    code: 'resume-other-version',
    message: `Run ${runId} was started by mstdn-ops ${then}; this is ${toolVersion}.`,
    next: `Install mstdn-ops ${then} and run \`mstdn-ops resume\` with it.`,
  })
}

function whoAmI() {
  return { host: hostname(), user: userInfo().username, pid: process.pid }
}

function now(): string {
  return new Date().toISOString()
}

/** A new file's name is on disk only when its folder is. */
async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, 'r')
  await handle.sync().finally(() => handle.close())
}

/** Makes the folder and those above it, for this user alone. Node's own recursion says ENOENT of a read-only disk. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return
    if (code !== 'ENOENT' || path === dirname(path)) throw error
    await makeFolder(dirname(path))
    await makeFolder(path)
  }
}
