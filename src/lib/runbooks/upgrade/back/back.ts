import { namedBackup } from '../../../backups/named.js'
import type { StoredBackup } from '../../../backups/store.js'
import type { Consent, Runbook, Step } from '../../../runbook/step.js'
import type { Toolbox } from '../../../toolbox.js'
import { backInTime, backText, compareStep, restoreStep } from '../../db/restore.js'
import { analyzeStep } from '../../replace/analyze.js'
import { duePostsStep } from '../../replace/due-posts.js'
import { feedsStep } from '../../replace/feeds.js'
import { goneMediaStep } from '../../replace/gone-media.js'
import { namesOf } from '../../replace/names.js'
import { clearRedisStep, type JobsAside, jobsAside, jobsAsideStep } from '../../replace/redis.js'
import { raiseStep, swapStep } from '../../replace/swap.js'
import { lookStep } from '../../replace/writers.js'
import { downtimeNoted, endWatchStep, watched } from '../downtime.js'
import { gateStep } from '../gate.js'
import type { Downtime } from '../options.js'
import { refuse } from './check.js'
import { leftBehindText } from './left-behind.js'
import type { BackOptions } from './options.js'
import { BACK } from './runs.js'
import {
  bringFormerStep,
  bringRestoredStep,
  fetchFormerStep,
  putBackStep,
  runningStep,
  stopStep,
  tidyStep,
} from './steps.js'

export interface BackResult {
  of: string
  from: string
  /** The release that serves again. */
  to: string
  /** Null where nothing could look. */
  downtime: Downtime | null
  /** The folder of the backup that was restored, and what the database is called that was live; null where it stayed. */
  restored: { backup: string; kept: string; jobsAside: JobsAside | null } | null
  leftToDo: string[]
}

const CONFIGURED = 'Take mastodon_version out of mstdn-ops.yaml, or write the version there.'

/**
 * Puts the release back that an upgrade has replaced: its files and images alone until post-deployment migrations were
 * applied, and with the backup of before from then on. No migration is run.
 */
export const upgradeBack: Runbook<BackOptions, BackResult> = {
  name: BACK,
  check: refuse,
  consent: async (toolbox, options) =>
    options.backup === undefined
      ? releaseConsent(toolbox, options)
      : restoreConsent(toolbox, options, await namedBackup(toolbox, options.backup)),
  steps: async (toolbox, options) => {
    if (options.backup === undefined) return releaseSteps(options)
    return restoreSteps(options, await namedBackup(toolbox, options.backup))
  },
  result: async ({ instance }, { of, from, to, backup }, noted) => ({
    ...{ of, from, to },
    downtime: downtimeNoted(noted),
    restored: backup === undefined ? null : { backup, kept: noted('kept') ?? '', jobsAside: jobsAside(noted) },
    leftToDo: instance.mastodonVersion === undefined ? [] : [CONFIGURED],
  }),
}

function releaseSteps(options: BackOptions): Step[] {
  const work = [bringFormerStep(options), gateStep('gate', options)]
  return [
    runningStep(options),
    fetchFormerStep(options),
    putBackStep(options),
    ...work.map(step => watched(options.from, step)),
    endWatchStep(),
    tidyStep(options),
  ]
}

function restoreSteps(options: BackOptions, backup: StoredBackup): Step[] {
  const work = [
    stopStep(options),
    lookStep(),
    putBackStep(options),
    jobsAsideStep(),
    raiseStep(namesOf),
    swapStep(namesOf, () => null),
    clearRedisStep(),
    duePostsStep(),
    bringRestoredStep(options),
    gateStep('gate', options),
  ]
  return [
    runningStep(options),
    fetchFormerStep(options),
    restoreStep(backup, options),
    compareStep(backup),
    analyzeStep(),
    ...work.map(step => watched(options.from, step)),
    endWatchStep(),
    // From here on nothing is taken back: what follows takes long, and nothing waits for it.
    tidyStep(options),
    goneMediaStep(),
    feedsStep(),
  ]
}

async function releaseConsent(toolbox: Toolbox, { from, to }: BackOptions): Promise<Consent> {
  const serves = `${to} serves with the migrations that were applied; nothing that was written is lost.`
  const left = await leftBehindText(toolbox, { from, to })
  if (left === undefined) return { kind: 'yes', question: `${serves} Go back from ${from} to ${to}?` }
  return { kind: 'domain', loses: `${serves}\n${left}` }
}

async function restoreConsent(toolbox: Toolbox, options: BackOptions, backup: StoredBackup): Promise<Consent> {
  const { from, to, identity } = options
  const why = `Going back from ${from} to ${to} means restoring the backup of ${backup.manifest.startedAt}: ${to} cannot work with what the post-deployment migrations left.`
  const since = 'Everything since then is lost here, and kept beside it until mstdn-ops db:discard.'
  const counted = await backText(backInTime(toolbox, backup, identity))
  return { kind: 'domain', loses: [why, since, counted].filter(Boolean).join('\n') }
}
