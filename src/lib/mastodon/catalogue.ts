import { RefusedError } from '../errors.js'
import { accountOperations } from './catalogue/accounts.js'
import { contentOperations } from './catalogue/content.js'
import { AUTOMATIC_WORK, type AutomaticWork, EXTRAS, type Extra } from './catalogue/extras.js'
import { jobOperations, SCHEDULED_JOBS, type ScheduledJob } from './catalogue/jobs.js'
import { moderationOperations } from './catalogue/moderation.js'
import { type CommandRow, isLacking, type Operation, type Row } from './catalogue/rows.js'
import { appOperations, databaseOperations, secretOperations } from './catalogue/server.js'
import { inRange, type MastodonVersion } from './version.js'

export type { ScheduledJob } from './catalogue/jobs.js'
export type { CommandRow, Operation, Row } from './catalogue/rows.js'

/** The oldest release that anything is known of. */
export const OLDEST = '1.3.0'

/** Every operation, and the command of each range of releases for it. */
export const operations = {
  ...accountOperations,
  ...moderationOperations,
  ...secretOperations,
  ...databaseOperations,
  ...appOperations,
  ...contentOperations,
  ...jobOperations,
}

export type OperationId = keyof typeof operations

export type ParamsOf<K extends OperationId> = (typeof operations)[K] extends Operation<infer P> ? P : never

export interface Command<P = unknown> {
  operation: OperationId
  argv: readonly string[]
  /** Variables to add to the app's own environment. */
  env: Readonly<Record<string, string>>
  row: CommandRow<P>
}

/** This release has no command for what is asked. Nothing was changed. */
export class UnsupportedVersionError extends RefusedError {
  /** The release that has it, when a later one does. */
  readonly needs: string | undefined

  constructor(parts: { message: string; cause: string; next: string; needs?: string | undefined }) {
    super({ code: 'unsupported-version', ...parts })
    this.needs = parts.needs
  }
}

function operationOf<K extends OperationId>(id: K): Operation<ParamsOf<K>> {
  return operations[id] as unknown as Operation<ParamsOf<K>>
}

function isCommand<P>(row: Row<P>): row is CommandRow<P> {
  return !isLacking(row)
}

/** The first release after `version` that has a command for which `fits` is true. */
function laterRelease<P>(rows: readonly Row<P>[], version: MastodonVersion, fits: (row: CommandRow<P>) => boolean) {
  return rows.filter(isCommand).find(row => version.before(row.since) && fits(row))?.since
}

function tooOld(version: MastodonVersion, purpose: string): UnsupportedVersionError {
  return new UnsupportedVersionError({
    message: `Mastodon ${version} is too old to ${purpose} from here`,
    cause: `nothing is known of releases before ${OLDEST}`,
    next: `Upgrade to ${OLDEST} or newer.`,
    needs: OLDEST,
  })
}

function lacking<P>(operation: Operation<P>, version: MastodonVersion, row: Extract<Row<P>, { lacking: string }>) {
  const needs = laterRelease(operation.rows, version, () => true)
  const needed = needs ? ` It needs Mastodon ${needs}.` : ''
  return new UnsupportedVersionError({
    message: `Mastodon ${version} has no command to ${operation.purpose}`,
    cause: `${row.lacking}.${needed}`,
    next: row.instead,
    needs,
  })
}

/** The parameter that is set although this range of releases does not understand it. */
function strangeParam<P extends object>(row: CommandRow<P>, params: P): (keyof P & string) | undefined {
  const known: readonly string[] | undefined = row.accepts
  const isSet = (value: unknown) => value !== undefined && value !== false
  const set = Object.entries(params).filter(([, value]) => isSet(value))
  return known && (set.find(([name]) => !known.includes(name))?.[0] as (keyof P & string) | undefined)
}

function refusedParam<P>(operation: Operation<P>, version: MastodonVersion, name: keyof P & string) {
  const needs = laterRelease(operation.rows, version, row => row.accepts?.includes(name) ?? true)
  return new UnsupportedVersionError({
    message: `Mastodon ${version} has no choice of "${name}" to ${operation.purpose}`,
    cause: needs ? `it needs Mastodon ${needs}.` : 'it was removed.',
    next: `Leave "${name}" out${needs ? `, or upgrade to ${needs} or newer` : ''}.`,
    needs,
  })
}

/** Returns the row of an operation for a release. Throws UnsupportedVersionError where there is no command. */
export function rowFor<K extends OperationId>(id: K, version: MastodonVersion): CommandRow<ParamsOf<K>> {
  const operation = operationOf(id)
  const row = operation.rows.find(candidate => inRange(version, candidate))
  if (!row) throw tooOld(version, operation.purpose)
  if (isLacking(row)) throw lacking(operation, version, row)
  return row
}

/** Whether a release has a command for an operation. */
export function supports(id: OperationId, version: MastodonVersion): boolean {
  return operations[id].rows.some(row => inRange(version, row) && !isLacking(row as Row<unknown>))
}

/**
 * Returns the command with which this release does the operation.
 * Throws UnsupportedVersionError, naming the release that it needs and what to do instead, where the release
 * has no such command or does not understand one of the parameters that are set.
 */
export function commandFor<K extends OperationId>(
  id: K,
  version: MastodonVersion,
  params: ParamsOf<K>,
): Command<ParamsOf<K>> {
  const row = rowFor(id, version)
  const strange = strangeParam(row as CommandRow<object>, params as object)
  if (strange !== undefined) throw refusedParam(operationOf(id) as Operation<object>, version, strange as never)
  return { operation: id, argv: row.argv(params), env: row.env?.(params) ?? {}, row }
}

export interface Finished {
  stdout: string
  stderr: string
  exitCode: number
}

/**
 * Judges by what the process printed and returned: `done`, `failed`, or `unclear` where exit code 0 may be a
 * lie and nothing tells; then the change has to be read back.
 */
export function outcomeOf<P>(
  row: CommandRow<P>,
  { stdout, stderr, exitCode }: Finished,
): 'done' | 'failed' | 'unclear' {
  if (exitCode !== 0 || row.failure?.test(`${stdout}\n${stderr}`)) return 'failed'
  if (row.success?.test(stdout)) return 'done'
  return row.success || row.exitMayLie ? 'unclear' : 'done'
}

/** What an operator may want done regularly and this release never does by itself. */
export function dailyExtras(version: MastodonVersion): readonly Extra[] {
  return EXTRAS.filter(extra => inRange(version, extra))
}

/** What this release removes and tidies by itself, as long as Sidekiq listens to every queue. */
export function automaticWork(version: MastodonVersion): readonly AutomaticWork[] {
  return AUTOMATIC_WORK.filter(work => inRange(version, work))
}

/** Reads whether a setting has a value. Settings are stored as YAML, so an empty one may read `--- ''`. */
export const SETTING_STATEMENT = 'SELECT value FROM settings WHERE var = $1'

/** The jobs that the scheduler of this release starts by itself. */
export function scheduledJobs(version: MastodonVersion): readonly ScheduledJob[] {
  return SCHEDULED_JOBS.filter(job => inRange(version, job))
}

/** Finds a scheduled job by its name or Ruby class. Throws UnsupportedVersionError where this release has none. */
export function scheduledJob(name: string, version: MastodonVersion): ScheduledJob {
  const named = SCHEDULED_JOBS.filter(job => job.name === name || job.className === name)
  const found = named.find(job => inRange(version, job))
  if (found) return found
  const needs = named.find(job => version.before(job.since))?.since
  throw new UnsupportedVersionError({
    message: `Mastodon ${version} has no scheduled job called ${JSON.stringify(name)}`,
    cause: needs ? `it came with ${needs}.` : 'it is not among the jobs of this release.',
    next: `Choose one of: ${
      scheduledJobs(version)
        .map(job => job.name)
        .join(', ') || 'none'
    }.`,
    needs,
  })
}
