import { openOther, openThrough } from '../../backups/restore-into.js'
import { appliedMigrations } from '../../mastodon/migrations.js'
import { keptName } from '../../postgres/kept.js'
import type { Runbook, Step } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { closeStep, lookHereStep, openStep, startAllStep, stopAllStep } from '../replace/close.js'
import { feedsStep } from '../replace/feeds.js'
import { goneMedia, goneMediaStep } from '../replace/gone-media.js'
import { migrateStep } from '../replace/migrate.js'
import { liveName, type Names } from '../replace/names.js'
import { addonsOf, adoptStep, promoteStep, raiseNewMigratedStep, raiseNewStep } from '../replace/new-database.js'
import { clearRedisStep, drain, type JobsAside, jobsAside, jobsAsideStep } from '../replace/redis.js'
import { raiseMigratedStep, raiseStep, swapStep } from '../replace/swap.js'
import { lookStep, startStep, stopStep } from '../replace/writers.js'
import { refuseUnfit } from './fit.js'

export interface RollbackOptions {
  /** The run that is taken back. */
  of: string
  /** The database that it replaced. */
  database: string
  /** Whether the platform runs it. */
  ordered?: true
  /** How long Sidekiq may work its queues off. */
  drainSeconds: number
}

export interface RollbackResult {
  of: string
  /** What the database that was live until now is called. */
  kept: string
  /** Milliseconds from the first stop until everything ran again; null where nothing was stopped. */
  stoppedFor: number | null
  /** Jobs of the replaced state that were not run, and the file that holds them. */
  jobsAside: JobsAside | null
  /** Cached media whose files were removed since it was replaced, or why that is not known; null where nobody looked. */
  goneMedia: ReturnType<typeof goneMedia>
}

/** Puts a replaced database back in its place; the one that was live is kept in turn. */
export const rollback: Runbook<RollbackOptions, RollbackResult> = {
  name: 'rollback',
  consent: async (_toolbox, { of }) => ({
    kind: 'domain',
    loses: `The database goes back to what run ${of} replaced: everything written since is set aside.`,
  }),
  check: refuseOtherRelease,
  steps: async (_toolbox, { database, ordered, drainSeconds }) => {
    if (ordered) return orderedSteps(database, drainSeconds)
    const names: Names = async ({ toolbox, runId }) => ({
      live: await liveName(toolbox),
      fresh: database,
      kept: keptName(runId),
    })
    return [
      stopStep(drain(drainSeconds)),
      lookStep(),
      jobsAsideStep(),
      raiseStep(names),
      swapStep(names, () => null),
      clearRedisStep(),
      migrateStep('pre'),
      raiseMigratedStep(names),
      startStep(),
      goneMediaStep(),
      feedsStep(),
    ]
  },
  result: async (_toolbox, { of }, noted) => {
    const stopped = noted('stopped-for')
    return {
      of,
      kept: noted('kept') ?? '',
      stoppedFor: stopped === undefined ? null : Number(stopped),
      jobsAside: jobsAside(noted),
      goneMedia: goneMedia(noted),
    }
  },
}

/** The release may have been changed since: what was replaced before that is migrated, or cannot be served any more. */
async function refuseOtherRelease(toolbox: Toolbox, options: RollbackOptions): Promise<void> {
  const [known, versions] = [await appliedMigrations(toolbox), await versionsOf(toolbox, options)]
  if (versions.some(version => !known.has(version))) await refuseUnfit(toolbox, versions)
}

async function versionsOf(toolbox: Toolbox, { database: name, ordered }: RollbackOptions): Promise<string[]> {
  const database = ordered
    ? await openThrough(toolbox, await addonsOf(toolbox).connector(name), 'look')
    : await openOther(toolbox, name, 'look')
  try {
    const rows = await database.query<{ version: string }>('SELECT version::text AS version FROM schema_migrations')
    return rows.map(({ version }) => version)
  } finally {
    await database.close()
  }
}

function orderedSteps(database: string, drainSeconds: number): Step[] {
  return [
    adoptStep(database),
    closeStep(),
    stopAllStep(drain(drainSeconds)),
    lookHereStep(),
    jobsAsideStep(),
    raiseNewStep(),
    promoteStep(),
    clearRedisStep(),
    migrateStep('pre'),
    raiseNewMigratedStep(),
    startAllStep(),
    openStep(),
    goneMediaStep(),
    feedsStep(),
  ]
}
