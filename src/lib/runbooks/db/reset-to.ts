import type { DatabasePlan } from '../../backends/managed-database.js'
import type { StepBack } from '../../backups/diff.js'
import { namedBackup } from '../../backups/named.js'
import type { StoredBackup } from '../../backups/store.js'
import { RefusedError } from '../../errors.js'
import { pendingMigrations } from '../../mastodon/migrations.js'
import type { Step } from '../../runbook/step.js'
import { grouped, plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { analyzeStep } from '../replace/analyze.js'
import { closeStep, lookHereStep, openStep, startAllStep, stopAllStep } from '../replace/close.js'
import { analyzeTargetStep, compareContentStep } from '../replace/content.js'
import { feedsStep } from '../replace/feeds.js'
import { goneMediaStep } from '../replace/gone-media.js'
import { ownerStep } from '../replace/identity.js'
import { keptUntil } from '../replace/keep.js'
import { liveDatabase } from '../replace/live.js'
import { afterSwap, beforeSwap, compareMergedStep, type MergeSides, mergeStep, ordered } from '../replace/merge.js'
import { migrateStep } from '../replace/migrate.js'
import { migrateAsideOrRefuse, whyNotAside } from '../replace/migrate-aside.js'
import { namesOf } from '../replace/names.js'
import {
  fillStep,
  newDatabase,
  orderStep,
  promoteStep,
  raiseNewMigratedStep,
  raiseNewStep,
} from '../replace/new-database.js'
import { clearRedisStep, drain, jobsAsideStep } from '../replace/redis.js'
import { raiseMigratedStep, raiseStep, swapStep } from '../replace/swap.js'
import { lookStep, startStep, stopStep } from '../replace/writers.js'
import type { ResetOptions } from './reset.js'
import { backInTime, compareStep, refuseBad, refuseForeign, restoreStep } from './restore.js'
import { contentOf } from './restore-managed.js'

/** What a reset begins with instead of an empty database; it stands in the journal, so that resume does the same. */
export interface Baseline {
  /** Of the backup's folder. */
  path: string
  /** Whether the installed release has migrations that it lacks. */
  isOlder: boolean
  /** Whether the app can run those before it takes the live one's place. */
  isMigratedAside?: boolean
}

/** Returns the backup that is meant. @throws RefusedError when it is none of this instance's and its release's. */
export async function baselineNamed(toolbox: Toolbox, name: string): Promise<Baseline> {
  const backup = await namedBackup(toolbox, name)
  const { verdict } = await refuseForeign(toolbox, backup)
  if (verdict === 'fits') return { path: backup.path, isOlder: false }
  return { path: backup.path, isOlder: true, isMigratedAside: (await whyNotAside(toolbox)) === undefined }
}

/** Returns bytes that its database had. */
export async function bytesOfBaseline(toolbox: Toolbox, { path }: Baseline): Promise<number> {
  return (await namedBackup(toolbox, path)).manifest.postgres.database.bytes
}

/** Refuses one that is damaged, or that could not be brought up to the installed release. */
export async function checkBaseline(
  toolbox: Toolbox,
  { path, isOlder }: Baseline,
  options: ResetOptions,
): Promise<void> {
  const backup = await namedBackup(toolbox, path)
  if (isOlder && toolbox.backend.oneOff === undefined) throw notMigrated(backup)
  if (isOlder) await refusePutOff(toolbox)
  await refuseBad(toolbox, backup, options)
}

function notMigrated({ name }: StoredBackup): RefusedError {
  return new RefusedError({
    code: 'baseline-is-older',
    message: `The backup ${name} is of an older release.`,
    cause: 'The migrations that it lacks cannot be run from here.',
    next: 'Choose a backup that the installed release has made: mstdn-ops db:backups',
  })
}

/** The backup gets every migration that it lacks: where the live database has not, their tables are not the same. */
async function refusePutOff(toolbox: Toolbox): Promise<void> {
  const pending = await pendingMigrations(toolbox, { fresh: true })
  if (pending.length === 0) return
  throw new RefusedError({
    code: 'migrations-pending',
    message: `${plural(pending.length, 'migration is', 'migrations are')} pending in the live database.`,
    cause: 'The backup is of an older release, and would be migrated beyond it.',
    next: 'Run them first: mstdn-ops db:migrate',
  })
}

/** Returns in lines what comes from the backup, counted. */
export async function baselineText(toolbox: Toolbox, { path }: Baseline, identity?: string): Promise<string[]> {
  const backup = await namedBackup(toolbox, path)
  const { name, manifest } = backup
  const rows = (table: string) => manifest.counts.tables.find(count => count.table === table)?.rows ?? 0
  const back = await backInTime(toolbox, backup, identity)
  return [
    `Comes from the backup ${name} (${manifest.startedAt}):`,
    `  ${grouped(rows('statuses'))} posts, ${grouped(rows('media_attachments'))} media, save for those of accounts that are no more`,
    ...deletedText(back),
  ]
}

function deletedText({ posts, accounts }: StepBack): string[] {
  const gone = accounts.deleted + accounts.suspended
  return [
    ...(posts.deleted === 0 ? [] : [`  ${plural(posts.deleted, 'post')} deleted since, of people here: may come back`]),
    ...(gone === 0
      ? []
      : [`  ${plural(gone, 'account')} deleted or suspended since: stay so, and their posts stay away`]),
  ]
}

/** Returns the steps of a reset to a backup, after those of the safety backup. */
export async function baselineSteps(
  toolbox: Toolbox,
  { path, isOlder, isMigratedAside }: Baseline,
  options: ResetOptions,
  firstRows: Step,
): Promise<Step[]> {
  const backup = await namedBackup(toolbox, path)
  return [
    restoreStep(backup, options),
    compareStep(backup),
    ...(isMigratedAside ? [migrateAsideOrRefuse(async () => null)] : []),
    stopStep(drain(options.drainSeconds)),
    lookStep(),
    ...(isOlder && !isMigratedAside ? migratedSteps(options) : mergedSteps(options)),
    clearRedisStep(),
    firstRows,
    startStep(),
    goneMediaStep(),
    feedsStep(),
  ]
}

function mergedSteps(options: ResetOptions): Step[] {
  return [
    ...keptSteps(options, beforeSwap),
    analyzeStep(),
    jobsAsideStep(),
    raiseStep(namesOf),
    swapStep(namesOf, context => keptUntil(context, options)),
  ]
}

/** Where the app migrates the database that it is configured for, and no other, the rows that are kept come after that. */
function migratedSteps(options: ResetOptions): Step[] {
  return [
    jobsAsideStep(),
    raiseStep(namesOf),
    swapStep(namesOf, context => keptUntil(context, options)),
    migrateStep('all', async () => null),
    raiseMigratedStep(namesOf),
    ...keptSteps(options, afterSwap),
    analyzeTargetStep(liveDatabase),
  ]
}

/** Does the same with a database that is ordered from the platform. */
export async function orderedBaselineSteps(
  toolbox: Toolbox,
  { path, isOlder }: Baseline,
  options: ResetOptions & { plan: DatabasePlan },
  firstRows: Step,
): Promise<Step[]> {
  const content = contentOf(await namedBackup(toolbox, path), options)
  const kept = [...keptSteps(options, ordered), analyzeTargetStep(newDatabase)]
  return [
    orderStep(options.plan, options),
    fillStep(content),
    compareContentStep(content, newDatabase),
    closeStep(),
    stopAllStep(drain(options.drainSeconds)),
    lookHereStep(),
    jobsAsideStep(),
    ...(isOlder
      ? [raiseNewStep(), promoteStep(), migrateStep('all', async () => null), raiseNewMigratedStep(), ...kept]
      : [...kept, raiseNewStep(), promoteStep()]),
    clearRedisStep(),
    firstRows,
    startAllStep(),
    openStep(),
    goneMediaStep(),
    feedsStep(),
  ]
}

function keptSteps(options: ResetOptions, sides: MergeSides): Step[] {
  return [mergeStep(options, sides), compareMergedStep(options, sides), ownerStep(sides)]
}
