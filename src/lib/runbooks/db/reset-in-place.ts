import { dumpTools } from '../../backups/database.js'
import { namedBackup } from '../../backups/named.js'
import { mayCreateDatabases } from '../../postgres/scratch.js'
import type { Step } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { closeStep, lookHereStep, openStep, startAllStep, stopAllStep } from '../replace/close.js'
import { analyzeTargetStep, compareContentStep } from '../replace/content.js'
import { feedsStep } from '../replace/feeds.js'
import { goneMediaStep } from '../replace/gone-media.js'
import { type Kept, ownerStep } from '../replace/identity.js'
import {
  endRecordStep,
  fillLiveStep,
  noteIdsStep,
  raiseNotedMigratedStep,
  raiseNotedStep,
  resetStep,
} from '../replace/in-place.js'
import {
  compareLoadedStep,
  emptied,
  emptyTables,
  forgetRowsStep,
  keepRowsStep,
  keptFiles,
  loadRowsStep,
  refuseNoRoomForRows,
} from '../replace/kept-rows.js'
import { capturesOf, liveDatabase } from '../replace/live.js'
import { compareMergedFilesStep, mergeFilesStep } from '../replace/merge-files.js'
import { migrateStep } from '../replace/migrate.js'
import { clearRedisStep, drain, jobsAsideStep } from '../replace/redis.js'
import { safetyCaptureStep } from '../replace/safety-capture.js'
import { formationOf } from '../scale/scale.js'
import type { ResetOptions } from './reset.js'
import type { Baseline } from './reset-to.js'
import { contentOf } from './restore-managed.js'

/** Whether the one database that there is has to be emptied: no second one can be made here, and none is ordered. */
export async function isInPlace(toolbox: Toolbox, { newDatabase }: ResetOptions): Promise<boolean> {
  if (newDatabase !== undefined || toolbox.backend.captures === undefined) return false
  return !(await mayCreateDatabases(await toolbox.database()))
}

/** Refuses what can be refused before anything happens; `bytes` is how large the tables are of which rows are kept. */
export async function checkInPlace(toolbox: Toolbox, bytes: number): Promise<void> {
  formationOf(toolbox)
  await capturesOf(toolbox).usable()
  await dumpTools(toolbox)
  await refuseNoRoomForRows(toolbox, bytes)
}

export const TOLD_IN_PLACE =
  'The database is emptied and filled again while the instance is closed. A backup of it is made and proven before, ' +
  'and goes back by itself if anything fails. (With --new-database PLAN a second one takes its place, and it is kept.)'

/** The steps of a reset that are the same wherever it takes place. */
interface OwnSteps {
  kept: Kept
  count: Step
  firstRows: Step
}

export function inPlaceSteps(options: ResetOptions, { kept, count, firstRows }: OwnSteps): Step[] {
  return [
    count,
    ...emptyingSteps(options, kept),
    fillLiveStep(emptyTables),
    loadRowsStep(kept),
    compareLoadedStep(),
    ownerStep(emptied),
    analyzeTargetStep(liveDatabase),
    raiseNotedStep(),
    ...servingSteps(firstRows),
  ]
}

/** Does the same with a backup that is restored into the emptied database. */
export async function inPlaceBaselineSteps(
  toolbox: Toolbox,
  { path, isOlder }: Baseline,
  options: ResetOptions,
  { kept, count, firstRows }: OwnSteps,
): Promise<Step[]> {
  const content = contentOf(await namedBackup(toolbox, path), options)
  return [
    count,
    ...emptyingSteps(options, kept),
    fillLiveStep(content),
    compareContentStep(content, liveDatabase),
    raiseNotedStep(),
    ...(isOlder ? [migrateStep('all', async () => null), raiseNotedMigratedStep()] : []),
    mergeFilesStep(options),
    compareMergedFilesStep(options),
    ownerStep(emptied),
    analyzeTargetStep(liveDatabase),
    ...servingSteps(firstRows),
    goneMediaStep(),
    feedsStep(),
  ]
}

/** Nobody writes any more when the safety backup is made and what is kept is written down. */
function emptyingSteps(options: ResetOptions, kept: Kept): Step[] {
  return [
    closeStep(),
    stopAllStep(drain(options.drainSeconds)),
    lookHereStep(),
    safetyCaptureStep('before-reset'),
    noteIdsStep(),
    keepRowsStep(kept),
    jobsAsideStep(),
    resetStep(keptFiles),
  ]
}

function servingSteps(firstRows: Step): Step[] {
  return [clearRedisStep(), firstRows, startAllStep(), endRecordStep(), openStep(), forgetRowsStep()]
}
