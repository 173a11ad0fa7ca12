import { type FormerProcess, ROLES } from '../../../backends/backend.js'
import { NotUndoneError, RefusedError } from '../../../errors.js'
import { runsDir } from '../../../paths.js'
import { findRun, type RunRecord } from '../../../runbook/journal.js'
import type { Step, StepContext } from '../../../runbook/step.js'
import type { Toolbox } from '../../../toolbox.js'
import { drain } from '../../replace/redis.js'
import { stopStep as databaseStopStep, formerNoted, noteServed, noteStoppedFor } from '../../replace/writers.js'
import { forgetKeysCopy } from '../keys.js'
import { changeOf } from '../options.js'
import { bring, bringStep, lookStep, putFormerBack, releaseKey } from '../serving.js'
import { type BackOptions, backOf } from './options.js'

/**
 * Notes what is to run afterwards: what ran before an upgrade that was abandoned on its way, else what runs now. Where
 * nothing of a role runs any more, what the upgrade found running.
 */
export function runningStep({ of }: Pick<BackOptions, 'of'>): Step {
  return {
    ...lookStep(),
    id: 'running',
    run: async context => {
      const upgrade = await upgradeOf(context, of)
      const then = JSON.parse(upgrade?.notes.get('ran') ?? '[]') as FormerProcess[]
      await lookStep().run(context)
      const now = upgrade?.end?.end === 'abandoned' ? [] : formerNoted(context)
      const stopped = then.filter(({ role }) => now.every(one => one.role !== role))
      await context.note('ran', JSON.stringify([...now, ...stopped]))
    },
  }
}

export function upgradeOf({ toolbox }: StepContext, of: string): Promise<RunRecord | undefined> {
  return findRun(runsDir(toolbox.instance.name), of)
}

/** Fetches the former release again, where it is gone, before anything is stopped. */
export function fetchFormerStep({ to, images }: BackOptions): Step {
  return {
    id: 'fetch',
    title: `Fetch ${to}`,
    effect: 'write',
    needed: async ({ toolbox }) => (await backOf(toolbox).missing(images)).length > 0 || 'it is here',
    run: ({ toolbox, progress }) => backOf(toolbox).fetch(images, progress),
    repeatable: true,
    undo: async () => undefined,
  }
}

/** Puts the files of before back; what runs goes on. */
export function putBackStep({ of, from, to }: BackOptions): Step {
  return {
    id: 'put-back',
    title: `Put the files back that name ${to}`,
    effect: 'write',
    run: async context => {
      const { toolbox, noted, note, dryRun } = context
      if (noted(NAMED) === undefined) await note(NAMED, (await namesRelease(toolbox, from)) ? 'yes' : 'no')
      await backOf(toolbox).replace(releaseKey({ runId: of }), releaseKey(context))
      if (!dryRun && (await namesRelease(toolbox, from))) throw notReplaced(from, to)
    },
    undo: async context => {
      await putFormerBack(context)
      if (context.noted(NAMED) === 'yes') await refuseFormer(context.toolbox, from)
    },
  }
}

/** Under this key a run notes whether the files named the newer release when it began. */
const NAMED = 'named-newer'

async function namesRelease(toolbox: Toolbox, version: string): Promise<boolean> {
  return (await changeOf(toolbox).parts(version)).length === 0
}

/** @throws NotUndoneError where the files do not name the newer release, by which everything would be started. */
async function refuseFormer(toolbox: Toolbox, newer: string): Promise<void> {
  const parts = await changeOf(toolbox).parts(newer)
  if (parts.length === 0) return
  throw new NotUndoneError({
    code: 'files-name-former',
    message: `The project's files do not name ${newer}.`,
    cause: 'No other release is started on its schema: what is stopped stays so.',
    next: `Write the images into the files (${parts.map(({ name, to }) => `${name}: ${to}`).join(', ')}), then mstdn-ops resume --undo`,
  })
}

function notReplaced(from: string, to: string): RefusedError {
  return new RefusedError({
    code: 'former-file-gone',
    message: `The project's files still name ${from}.`,
    cause: `No copy of what named ${to} is kept any more.`,
    next: `Write the images of ${to} into the files, and run the command again.`,
  })
}

/**
 * Stops everything before the database is replaced. Where the run goes back, the newer release serves again; where the
 * files do not name it, nothing is started.
 */
export function stopStep({ drainSeconds, from }: BackOptions): Step {
  const step = databaseStopStep(drain(drainSeconds))
  const undo = async (context: StepContext) => {
    // Sidekiq that was told to begin no new job takes none until it is started anew.
    await context.toolbox.backend.processes?.stop(ROLES)
    await refuseFormer(context.toolbox, from)
    await bring(context)
  }
  return { ...step, undo }
}

/**
 * Starts the former release in the place of the newer one. Sidekiq is started anew in any case: that of an upgrade that
 * was abandoned may be the former one still, and the gate waits for another.
 */
export function bringFormerStep(options: BackOptions): Step {
  const step = bringStep(options)
  const run = async (context: StepContext) => {
    await context.toolbox.letGoOfRedis()
    await context.toolbox.backend.processes?.stop(['sidekiq'])
    await step.run(context)
  }
  return { ...step, run }
}

/** Starts the former release with the database that it left. */
export function bringRestoredStep({ to }: BackOptions): Step {
  return {
    id: 'bring',
    title: `Start the processes with ${to}, and wait until they are healthy`,
    effect: 'write',
    run: async context => {
      await noteServed(context)
      await bring(context)
      await noteStoppedFor(context)
    },
    undo: async ({ toolbox }) => toolbox.backend.processes?.stop(ROLES),
  }
}

/** What both runs have kept beside the files is of no use any more. */
export function tidyStep({ of, from, to }: BackOptions): Step {
  return {
    id: 'tidy',
    title: 'Remove the copies of the files',
    effect: 'write',
    repeatable: true,
    // Without the copies nothing leads back to the newer release.
    inUse: async () => `${to} serves, and the files of ${from} are not kept any more.`,
    run: async context => {
      const { toolbox, runId } = context
      for (const run of [of, runId]) await changeOf(toolbox).forget(releaseKey({ runId: run }))
      // An upgrade that was abandoned has left the former configuration, too, which holds secrets.
      const upgrade = await upgradeOf(context, of)
      const noted = (key: string) => upgrade?.notes.get(key)
      if (!context.dryRun) await forgetKeysCopy({ toolbox, runId: of, noted })
    },
  }
}
