import { basename } from 'node:path'
import type { DatabasePlan } from '../../backends/managed-database.js'
import { KEPT_GROUPS, type KeptGroup } from '../../mastodon/identity.js'
import { seedsRepeatably } from '../../mastodon/releases.js'
import { countAdministrators, hasRoleTable } from '../../mastodon/roles.js'
import type { Runbook, Step } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { analyzeStep } from '../replace/analyze.js'
import { closeStep, lookHereStep, openStep, startAllStep, stopAllStep } from '../replace/close.js'
import { analyzeTargetStep } from '../replace/content.js'
import { emptyStep, tablesStep } from '../replace/empty.js'
import { goneMedia } from '../replace/gone-media.js'
import { compareCopiedStep, copiedRows, copyStep, type Kept, noOwner, ownerStep } from '../replace/identity.js'
import { type KeepOptions, keptUntil, noteKeptUntil } from '../replace/keep.js'
import { namesOf } from '../replace/names.js'
import { costs, newDatabase, orderStep, planNamed, promoteStep, raiseNewStep } from '../replace/new-database.js'
import { clearRedisStep, drain, type JobsAside, jobsAside, jobsAsideStep } from '../replace/redis.js'
import { roomUnseen } from '../replace/room.js'
import { safetyBackup, safetyBackupStep } from '../replace/safety-backup.js'
import { refuseSecondDatabase } from '../replace/second-database.js'
import { besideByName, besideOrdered, type Sides } from '../replace/sides.js'
import { raiseStep, swapStep } from '../replace/swap.js'
import { lookStep, startStep, stopStep } from '../replace/writers.js'
import { formationOf } from '../scale/scale.js'
import { type BackupOptions, backup } from './backup.js'
import { checkInPlace, inPlaceBaselineSteps, inPlaceSteps, isInPlace, TOLD_IN_PLACE } from './reset-in-place.js'
import { keptRows, type Left, type LostCount, planOf, planText, type ResetPlan } from './reset-plan.js'
import {
  type Baseline,
  baselineSteps,
  baselineText,
  bytesOfBaseline,
  checkBaseline,
  orderedBaselineSteps,
} from './reset-to.js'
import { seedStep } from './seed.js'

export interface ResetOptions extends KeepOptions {
  /** Groups of kept rows that are left out all the same. */
  drop: string[]
  withoutFollows: boolean
  /** How long Sidekiq may work its queues off. */
  drainSeconds: number
  /** The plan of a second database that is ordered for it. */
  newDatabase?: string
  /** The backup that the new database begins with, instead of an empty one. */
  to?: Baseline
  /** The file with the secret key, for an encrypted one. */
  identity?: string
}

export interface ResetResult {
  /** The backup that it began with; null where it was an empty database. */
  baseline: string | null
  /** The backup that was made before. */
  backup: string | null
  kept: { group: KeptGroup; what: string; rows: number }[]
  /** Rows that stayed behind, for what they point to is not kept. */
  leftBehind: number
  lost: LostCount[]
  /** Whom it costs posts that the follows were left out; null where they were kept. */
  unserved: ResetPlan['unserved']
  /** The replaced database, and until when it is kept; null where it was emptied, of which the backup is left. */
  database: string | null
  keptUntil: string | null
  /** Milliseconds from the first stop until everything ran again; null where nothing was stopped. */
  stoppedFor: number | null
  /** Jobs of the replaced state that were not run, and the file that holds them. */
  jobsAside: JobsAside | null
  /** Cached media of the baseline whose files are gone, or why that is not known; null where nobody looked. */
  goneMedia: ReturnType<typeof goneMedia>
  /** Why it was not seen all the time how much room the database's disk had; null where it was. */
  roomUnseen: string | null
}

const SAFETY: BackupOptions = { with: [], label: 'before-reset' }

/**
 * Begins anew with an empty database, into which all is copied by which other servers and people know the instance.
 * Made beside the live one, then swapped by name; the replaced one is kept.
 */
export const reset: Runbook<ResetOptions, ResetResult> = {
  name: 'db:reset',
  check: async (toolbox, options) => {
    await refuseWithoutOwner(toolbox, options)
    await refuseWithoutPlace(toolbox, options)
    if (options.to) await checkBaseline(toolbox, options.to, options)
    await backup.check?.(toolbox, SAFETY)
  },
  consent: async (toolbox, options) => {
    const told = await toldOf(toolbox, options)
    const back = options.to && (await baselineText(toolbox, options.to, options.identity))
    return { kind: 'domain', loses: [planText(await planOf(toolbox, options), back), ...told].join('\n') }
  },
  steps: async (toolbox, options) => {
    if (await isInPlace(toolbox, options)) return emptyingSteps(toolbox, options)
    return [safetyBackupStep(SAFETY), countStep(options), ...(await replacingSteps(toolbox, options))]
  },
  result: async (_toolbox, options, noted) => {
    const { lost, unserved } = JSON.parse(noted('plan') ?? '{}') as Partial<ResetPlan>
    const copied = copiedRows(noted)
    const stopped = noted('stopped-for')
    return {
      baseline: options.to === undefined ? null : basename(options.to.path),
      backup: safetyBackup(noted)?.name ?? null,
      kept: groupsOf(copied),
      leftBehind: copied.reduce((sum, { left }) => sum + left, 0),
      lost: lost ?? [],
      unserved: unserved ?? null,
      database: noted('kept') ?? null,
      keptUntil: noted('kept-until') || null,
      stoppedFor: stopped === undefined ? null : Number(stopped),
      jobsAside: jobsAside(noted),
      goneMedia: goneMedia(noted),
      roomUnseen: roomUnseen(noted),
    }
  },
}

async function toldOf(toolbox: Toolbox, options: ResetOptions): Promise<string[]> {
  if (options.newDatabase !== undefined) return [await costs(toolbox, options.newDatabase)]
  return (await isInPlace(toolbox, options)) ? [TOLD_IN_PLACE] : []
}

async function emptyingSteps(toolbox: Toolbox, options: ResetOptions): Promise<Step[]> {
  const own = { kept: keptOf(options), count: countStep(options), firstRows: firstRowsStep() }
  return options.to ? inPlaceBaselineSteps(toolbox, options.to, options, own) : inPlaceSteps(options, own)
}

async function replacingSteps(toolbox: Toolbox, options: ResetOptions): Promise<Step[]> {
  const { to, newDatabase: ordered } = options
  if (ordered === undefined) return to ? baselineSteps(toolbox, to, options, firstRowsStep()) : besideSteps(options)
  const plan = await planNamed(toolbox, ordered)
  return to ? orderedBaselineSteps(toolbox, to, { ...options, plan }, firstRowsStep()) : orderedSteps(options, plan)
}

function besideSteps(options: ResetOptions): Step[] {
  return [
    emptyStep(context => noteKeptUntil(context, options)),
    stopStep(drain(options.drainSeconds)),
    lookStep(),
    ...identitySteps(options, besideByName),
    analyzeStep(),
    jobsAsideStep(),
    raiseStep(namesOf),
    swapStep(namesOf, context => keptUntil(context, options)),
    clearRedisStep(),
    firstRowsStep(),
    startStep(),
  ]
}

/** Where the platform runs the database, another one is ordered, and the app is led to it. */
function orderedSteps(options: ResetOptions, plan: DatabasePlan): Step[] {
  return [
    orderStep(plan, options),
    tablesStep(newDatabase),
    closeStep(),
    stopAllStep(drain(options.drainSeconds)),
    lookHereStep(),
    ...identitySteps(options, besideOrdered),
    analyzeTargetStep(newDatabase),
    jobsAsideStep(),
    raiseNewStep(),
    promoteStep(),
    clearRedisStep(),
    firstRowsStep(),
    startAllStep(),
    openStep(),
  ]
}

function identitySteps(left: Left, sides: Sides): Step[] {
  const kept = keptOf(left)
  return [copyStep(kept, sides), compareCopiedStep(kept, sides), ownerStep(sides)]
}

function keptOf(left: Left): Kept {
  return toolbox => keptRows(toolbox, left)
}

function groupsOf(copied: ReturnType<typeof copiedRows>): ResetResult['kept'] {
  return (Object.keys(KEPT_GROUPS) as KeptGroup[]).map(group => {
    const rows = copied.filter(table => table.group === group).reduce((sum, table) => sum + table.rows, 0)
    return { group, what: KEPT_GROUPS[group], rows }
  })
}

/** A large table takes its time to be counted, so it is done while the instance serves. */
function countStep(left: Left): Step {
  return {
    id: 'count',
    title: 'Count what is kept and what is lost',
    effect: 'read',
    run: async ({ toolbox, note }) => note('plan', JSON.stringify(await planOf(toolbox, left))),
  }
}

/**
 * Mostly nothing is missing, for the first rows were copied. Where a release of before 4.0 lacks one its seed would
 * make the web application twice. What it makes goes with the new database.
 */
function firstRowsStep(): Step {
  const step = seedStep(true)
  return {
    ...step,
    needed: async context => {
      const { backend, app } = context.toolbox
      if (backend.oneOff === undefined) return 'it cannot be done from here'
      if (!seedsRepeatably(await app.version())) return 'they were copied'
      return (await step.needed?.(context)) ?? true
    },
    undo: async () => undefined,
  }
}

async function refuseWithoutOwner(toolbox: Toolbox, { drop }: ResetOptions): Promise<void> {
  const version = await toolbox.app.version()
  const needed = hasRoleTable(version) ? ['users', 'roles'] : ['users']
  const dropped = needed.filter(group => drop.includes(group))
  if (dropped.length > 0) {
    throw noOwner(`Without ${dropped.join(' and ')} there is no administrator.`, 'Leave them out of --drop.')
  }
  const [found] = await (await toolbox.database()).query<{ count: number }>(countAdministrators(version).sql)
  if (found?.count) return
  const next = 'mstdn-ops accounts:make-admin NAME, and mstdn-ops accounts:confirm NAME --approve'
  throw noOwner('There is no confirmed and approved administrator now.', next)
}

async function refuseWithoutPlace(toolbox: Toolbox, options: ResetOptions): Promise<void> {
  if (await isInPlace(toolbox, options)) return checkInPlace(toolbox, await bytesOf(toolbox, options))
  if (options.newDatabase === undefined) {
    const more = options.to ? await bytesOfBaseline(toolbox, options.to) : 0
    return refuseSecondDatabase(toolbox, (await bytesOf(toolbox, options)) + more)
  }
  formationOf(toolbox)
  await planNamed(toolbox, options.newDatabase)
}

/** More than enough: the tables of which rows are kept, as large as they are now. */
async function bytesOf(toolbox: Toolbox, left: Left): Promise<number> {
  const tables = [...new Set((await keptRows(toolbox, left)).map(({ table }) => table))]
  const [row] = await (await toolbox.database()).query<{ bytes: number }>(
    'SELECT coalesce(sum(pg_total_relation_size(to_regclass(quote_ident(name)))), 0)::bigint AS bytes FROM unnest($1::text[]) AS t (name)',
    [tables],
  )
  return row?.bytes ?? 0
}
