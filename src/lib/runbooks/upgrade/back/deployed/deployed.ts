import { namedBackup } from '../../../../backups/named.js'
import type { StoredBackup } from '../../../../backups/store.js'
import type { Consent, Runbook, Step } from '../../../../runbook/step.js'
import type { Toolbox } from '../../../../toolbox.js'
import { backInTime, backText } from '../../../db/restore.js'
import { contentOf } from '../../../db/restore-managed.js'
import { lookHereStep, startAllStep } from '../../../replace/close.js'
import { analyzeTargetStep, compareContentStep } from '../../../replace/content.js'
import { duePostsStep } from '../../../replace/due-posts.js'
import { feedsStep } from '../../../replace/feeds.js'
import { goneMediaStep } from '../../../replace/gone-media.js'
import { endRecordStep, fillLiveStep, noteIdsStep, raiseNotedStep, resetStep } from '../../../replace/in-place.js'
import { liveDatabase } from '../../../replace/live.js'
import { clearRedisStep, type JobsAside, jobsAside, jobsAsideStep } from '../../../replace/redis.js'
import { safetyBackup } from '../../../replace/safety-backup.js'
import { safetyCaptureStep } from '../../../replace/safety-capture.js'
import { closedFor, timedOpenStep } from '../../closed.js'
import { gateBehindStep, gateInFrontStep } from '../../gate.js'
import type { Downtime } from '../../options.js'
import { CONFIGURED } from '../../upgrade.js'
import { leftBehindText } from '../left-behind.js'
import { DEPLOYED_BACK } from '../runs.js'
import { refuse } from './check.js'
import type { DeployedBackOptions } from './options.js'
import { closeStep, codeStep, lookStep, stopStep } from './steps.js'

export interface DeployedBackResult {
  of: string
  from: string
  /** The release that serves again. */
  to: string
  /** What the platform calls the release whose code is in force again. */
  code: string
  /** Null where the maintenance mode was on before, and stays on. */
  downtime: Downtime | null
  /** The folder of the backup that was restored, and the name of the one of what was live; null where the database stayed. */
  restored: { backup: string; kept: string; jobsAside: JobsAside | null } | null
  leftToDo: string[]
}

/**
 * Takes an upgrade back where the platform builds releases: the former code with the config vars of now, and, from the
 * first migration on, the backup of before. Everything stands still meanwhile. No migration is run.
 */
export const deployedBack: Runbook<DeployedBackOptions, DeployedBackResult> = {
  name: DEPLOYED_BACK,
  check: refuse,
  consent: async (toolbox, options) =>
    options.backup === undefined
      ? codeConsent(toolbox, options)
      : restoreConsent(toolbox, options, await namedBackup(toolbox, options.backup)),
  steps: async (toolbox, options) =>
    options.backup === undefined
      ? codeSteps(options)
      : restoreSteps(options, await namedBackup(toolbox, options.backup)),
  result: async (toolbox, { of, from, to, former, backup }, noted) => ({
    ...{ of, from, to, code: former.label },
    downtime: closedFor(noted),
    restored:
      backup === undefined ? null : { backup, kept: safetyBackup(noted)?.name ?? '', jobsAside: jobsAside(noted) },
    leftToDo: [
      `The app's git repository still holds ${from}: a push on top of it deploys that again.`,
      ...(toolbox.instance.mastodonVersion === undefined ? [] : [CONFIGURED]),
    ],
  }),
}

function codeSteps(options: DeployedBackOptions): Step[] {
  return [
    lookStep(options),
    closeStep(),
    stopStep(options),
    codeStep(options),
    startAllStep(),
    gateBehindStep(options),
    timedOpenStep(),
    gateInFrontStep(options),
  ]
}

/** There is one database, and it is emptied: nobody writes any more when the safety backup is made. */
function restoreSteps(options: DeployedBackOptions, backup: StoredBackup): Step[] {
  const content = contentOf(backup, options)
  return [
    lookStep(options),
    closeStep(),
    stopStep(options),
    lookHereStep(),
    safetyCaptureStep('before-rollback'),
    noteIdsStep(),
    jobsAsideStep(),
    codeStep(options),
    resetStep(),
    fillLiveStep(content),
    compareContentStep(content, liveDatabase),
    analyzeTargetStep(liveDatabase),
    raiseNotedStep(),
    clearRedisStep(),
    duePostsStep(),
    startAllStep(),
    gateBehindStep(options),
    endRecordStep(),
    timedOpenStep(),
    gateInFrontStep(options),
    goneMediaStep(),
    feedsStep(),
  ]
}

async function codeConsent(toolbox: Toolbox, options: DeployedBackOptions): Promise<Consent> {
  const { from, to } = options
  const serves = `No migration was applied: ${to} serves with what is there, and nothing that was written is lost. It stands still for a moment.`
  const left = await leftBehindText(toolbox, options)
  if (left === undefined) return { kind: 'yes', question: `${serves} Go back from ${from} to ${to}?` }
  return { kind: 'domain', loses: `${serves}\n${left}` }
}

async function restoreConsent(toolbox: Toolbox, options: DeployedBackOptions, backup: StoredBackup): Promise<Consent> {
  const { from, to, identity } = options
  const why = `Going back from ${from} to ${to} means restoring the backup of ${backup.manifest.startedAt}: ${to} is not made for the migrations that were applied.`
  const since =
    'The database is emptied and filled again while the instance is closed. Everything since then is lost here; a backup of what is there now is made, and proven, before.'
  const counted = await backText(backInTime(toolbox, backup, identity))
  return { kind: 'domain', loses: [why, since, counted].filter(Boolean).join('\n') }
}
