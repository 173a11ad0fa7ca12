import { RefusedError } from '../../errors.js'
import {
  automaticWork,
  dailyExtras,
  type OperationId,
  type ParamsOf,
  SETTING_STATEMENT,
  supports,
} from '../../mastodon/catalogue.js'
import type { Runbook, Step } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { operationStep, saidKey } from '../content/app-operation.js'
import { areMediaOutOfReach } from '../content/lost-files.js'
import { expiredStep } from '../db/expired.js'
import { keptHere } from '../db/kept.js'

export interface DailyOptions {
  /** Cached media older than so many days are removed; Mastodon's own 7 where it is left out. */
  mediaDays?: number
  /** Images of link previews older than so many days are removed; none where it is left out. */
  previewCardsDays?: number
  /** Posts of other servers older than so many days are removed; none where it is left out. */
  statusesDays?: number
  removeOrphans?: boolean
  pruneAccounts?: boolean
}

export interface DailyResult {
  version: string
  /** What was done, with what Mastodon said of it. */
  done: { title: string; said: string }[]
  /** What the server does by itself, so that nobody need do it. */
  automatic: string[]
}

/** What is done for each extra that the operator wants, and how it is told. */
interface Wanted {
  operation: OperationId
  title: string
  params: object
}

const DAILY = 'daily-task'
/** These remove files. */
const ON_FILES: readonly OperationId[] = ['media.remove', 'media.removeOrphans', 'previewCards.remove']

/**
 * Does what this release leaves to its operator: up to 1.4.7 the rake task `mastodon:daily`, and what no scheduler ever
 * does. Never doubles the server's own vacuum (4.0, app/workers/scheduler/vacuum_scheduler.rb).
 */
export const daily: Runbook<DailyOptions, DailyResult> = {
  name: 'daily',
  check: async (toolbox, options) => {
    toolbox.app.oneOff()
    if (options.removeOrphans) await refuseOrphans(toolbox)
    for (const { operation, params } of await wantedHere(toolbox, options)) {
      await toolbox.app.command(operation, params as ParamsOf<typeof operation>)
    }
  },
  steps: async (toolbox, options) => {
    const version = await toolbox.app.version()
    const extras = (await wantedHere(toolbox, options)).map(extra => extraStep(toolbox, extra))
    return [...(supports('daily', version) ? [dailyStep()] : []), ...extras, expiredStep()]
  },
  result: async (toolbox, options, noted) => {
    const steps = await daily.steps(toolbox, options)
    const done = steps.flatMap(({ id, title }) => {
      const said = noted(saidKey(id))
      return said === undefined ? [] : [{ title, said }]
    })
    return { version: String(await toolbox.app.version()), done, automatic: await automaticHere(toolbox) }
  },
}

/** To the live database the files of the replaced one are orphans: they would be missing after a rollback. */
async function refuseOrphans(toolbox: Toolbox): Promise<void> {
  if (toolbox.backend.postgres === undefined) return
  const [kept] = await keptHere(toolbox)
  if (kept === undefined) return
  throw new RefusedError({
    code: 'orphans-held-back',
    message: 'Files that no row refers to are not removed while a replaced database is kept.',
    cause: `${kept.name} refers to some of them, and would lack them after a rollback.`,
    next: 'mstdn-ops db:discard (drops it), then run the command again',
  })
}

function dailyStep(): Step {
  return operationStep({
    ...{ id: DAILY, title: 'Run the daily task', operation: 'daily', long: true },
    params: () => ({}),
  })
}

/** Skipped where a setting makes the server do the same by itself, and where its files are out of reach. */
function extraStep(toolbox: Toolbox, { operation, title, params }: Wanted): Step {
  const step = operationStep({ id: operation, title, operation, long: true, params: () => params as never })
  return {
    ...step,
    needed: async () => {
      if (ON_FILES.includes(operation) && (await areMediaOutOfReach(toolbox))) {
        return 'a one-off process cannot reach the media, which are on the disk of another'
      }
      const version = await toolbox.app.version()
      const setting = dailyExtras(version).find(extra => extra.operation === operation)?.notWithSetting
      const value = setting === undefined ? undefined : await settingValue(toolbox, setting)
      return value === undefined || `the server does it by itself: ${setting} is ${value}`
    },
  }
}

/** Returns the wanted extras: those asked for by name, and those that only remove what can be fetched again. */
async function wantedHere(toolbox: Toolbox, options: DailyOptions): Promise<Wanted[]> {
  const version = await toolbox.app.version()
  const byDefault = dailyExtras(version).filter(extra => extra.byDefault)
  return wantedOf(options).filter(
    ({ operation, asked }) => asked || byDefault.some(extra => extra.operation === operation),
  )
}

function wantedOf(options: DailyOptions): (Wanted & { asked: boolean })[] {
  const { mediaDays, previewCardsDays, statusesDays, removeOrphans = false, pruneAccounts = false } = options
  return [
    { ...aged('media.remove', 'Remove cached media of other servers', mediaDays, 7), asked: mediaDays !== undefined },
    {
      ...aged('previewCards.remove', 'Remove images of link previews', previewCardsDays, 180),
      asked: previewCardsDays !== undefined,
    },
    {
      ...aged('statuses.remove', 'Remove posts of other servers', statusesDays, 90),
      asked: statusesDays !== undefined,
    },
    { ...plain('media.removeOrphans', 'Remove files that no row refers to'), asked: removeOrphans },
    { ...plain('accounts.prune', 'Remove remote accounts that nobody here met'), asked: pruneAccounts },
  ]
}

function aged(operation: OperationId, title: string, days: number | undefined, usual: number): Wanted {
  const params = days === undefined ? {} : { days }
  return { operation, title: `${title} older than ${days ?? usual} days`, params }
}

function plain(operation: OperationId, title: string): Wanted {
  return { operation, title, params: {} }
}

async function automaticHere(toolbox: Toolbox): Promise<string[]> {
  const found: string[] = []
  for (const { what, onlyWithSetting } of automaticWork(await toolbox.app.version())) {
    const value = onlyWithSetting === undefined ? '' : await settingValue(toolbox, onlyWithSetting)
    if (value !== undefined) found.push(value === '' ? what : `${what} (after ${value} days)`)
  }
  return found
}

/** Returns the value of a row of `settings`; undefined when there is none, or an empty one. */
async function settingValue(toolbox: Toolbox, name: string): Promise<string | undefined> {
  const [row] = await (await toolbox.database()).query<{ value: string | null }>(SETTING_STATEMENT, [name])
  return readSetting(row?.value ?? '')
}

/** Returns a setting out of its YAML form (`--- 14\n`), which newer releases leave off; undefined for an empty one. */
export function readSetting(yaml: string): string | undefined {
  const bare = yaml
    .replace(/^---/, '')
    .replace(/\n\.\.\.\s*$/, '')
    .trim()
    .replace(/^(['"])(.*)\1$/, '$2')
  return bare === '' || bare === 'null' || bare === '~' ? undefined : bare
}
