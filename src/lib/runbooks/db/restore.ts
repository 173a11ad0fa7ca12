import { basename } from 'node:path'
import { dumpTools } from '../../backups/database.js'
import { type StepBack, stepBack, stepBackText } from '../../backups/diff.js'
import { decryptWith } from '../../backups/encryption.js'
import { countedTables } from '../../backups/manifest.js'
import { namedBackup } from '../../backups/named.js'
import { differencesIn, restoreInto, restoreLine } from '../../backups/restore-into.js'
import { mismatches } from '../../backups/secrets.js'
import type { StoredBackup } from '../../backups/store.js'
import { decode, differingCount, dumpOf, problemWithFiles } from '../../backups/verify.js'
import { OperatorError, RefusedError } from '../../errors.js'
import type { Fit } from '../../mastodon/fit.js'
import type { Consent, Runbook, Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { analyzeStep } from '../replace/analyze.js'
import { duePostsStep } from '../replace/due-posts.js'
import { feedsStep } from '../replace/feeds.js'
import { makeFresh, takeFreshBack } from '../replace/fresh.js'
import { goneMediaStep } from '../replace/gone-media.js'
import { type KeepOptions, keptUntil, noteKeptUntil } from '../replace/keep.js'
import { type Lacking, migrateStep } from '../replace/migrate.js'
import { migrateAsideStep, unlessAside } from '../replace/migrate-aside.js'
import { namesOf } from '../replace/names.js'
import { clearRedisStep, drain, jobsAsideStep, replayStep } from '../replace/redis.js'
import { noteUnseen } from '../replace/room.js'
import { refuseSecondDatabase } from '../replace/second-database.js'
import { raiseMigratedStep, raiseStep, swapStep } from '../replace/swap.js'
import { lookStep, startStep, stopStep } from '../replace/writers.js'
import { refuseUnfit } from './fit.js'
import { contentOf, lackingOf, type ManagedOptions, type ManagedWay, managedWay } from './restore-managed.js'
import { checkMedia, mediaStep } from './restore-media.js'
import { type RestoreResult, restoreResult, rowsIn } from './restore-result.js'

export interface TakeItsPlaceOptions extends KeepOptions {
  /** How long Sidekiq may work its queues off. */
  drainSeconds: number
  /** Runs the jobs that were pending in the replaced state all the same. */
  replayJobs: boolean
}

export interface RestoreOptions extends ManagedOptions {
  /** The name of a backup in the store, `latest`, or a path. */
  source: string
  identity?: string
  /** Whether the files of media come back too. */
  media?: boolean
}

/**
 * Puts the state of a backup in the place of the live database: restored and compared beside it while that serves, then
 * swapped by name. The replaced database is kept.
 */
export const restore: Runbook<RestoreOptions, RestoreResult> = {
  name: 'db:restore',
  check: async (toolbox, options) => {
    const backup = await namedBackup(toolbox, options.source)
    await refuseForeign(toolbox, backup)
    const way = await wayOf(toolbox, backup, options)
    await (way ? way.check() : refuseSecondDatabase(toolbox, backup.manifest.postgres.database.bytes))
    await refuseBad(toolbox, backup, options)
    if (options.media) await checkMedia(backup, options)
  },
  consent: async (toolbox, options) => {
    const backup = await namedBackup(toolbox, options.source)
    const told = await (await wayOf(toolbox, backup, options))?.told()
    const back = await backText(backInTime(toolbox, backup, options.identity))
    return consentOf(backup, [back, told ?? ''].filter(Boolean))
  },
  steps: async (toolbox, options) => {
    const backup = await namedBackup(toolbox, options.source)
    const way = await wayOf(toolbox, backup, options)
    if (way) return way.steps()
    const media = options.media ? [mediaStep(backup, options)] : []
    return [restoreStep(backup, options), compareStep(backup), ...takeItsPlace(options, lackingOf(backup)), ...media]
  },
  result: async (toolbox, options, noted) => {
    const backup = await namedBackup(toolbox, options.source)
    const { name, manifest } = backup
    const content = { backup: name, stateOf: manifest.startedAt, rows: rowsIn(manifest.counts.tables) }
    return restoreResult(toolbox, content, await wayOf(toolbox, backup, options), noted)
  },
}

function wayOf(toolbox: Toolbox, backup: StoredBackup, options: RestoreOptions): Promise<ManagedWay | undefined> {
  return managedWay(toolbox, contentOf(backup, options), options)
}

/** Returns the steps that put the new database in the place of the live one, once it is what it must be. */
export function takeItsPlace(options: TakeItsPlaceOptions, lacking: Lacking): Step[] {
  return [
    migrateAsideStep(lacking),
    analyzeStep(),
    stopStep(drain(options.drainSeconds)),
    lookStep(),
    jobsAsideStep(),
    raiseStep(namesOf),
    swapStep(namesOf, context => keptUntil(context, options)),
    clearRedisStep(),
    unlessAside(migrateStep('all', lacking)),
    raiseMigratedStep(namesOf),
    ...(options.replayJobs ? [replayStep()] : []),
    duePostsStep(),
    startStep(),
    goneMediaStep(),
    feedsStep(),
  ]
}

/** Returns it in words; a dump that lacks what is compared may be restored all the same. */
export async function backText(back: Promise<StepBack>): Promise<string> {
  try {
    return stepBackText(await back)
  } catch (error) {
    if (error instanceof OperatorError && error.code === 'dump-not-comparable') return `Not counted: ${error.message}`
    throw error
  }
}

/** Returns what going back to the backup means for a federated server, counted. */
export async function backInTime(toolbox: Toolbox, backup: StoredBackup, identity?: string): Promise<StepBack> {
  const unseal = identity === undefined ? undefined : await decryptWith(identity)
  return stepBack(toolbox, dumpOf(backup, unseal), backup.manifest)
}

function consentOf({ manifest }: StoredBackup, told: readonly string[]): Consent {
  return { kind: 'domain', loses: [`Everything since ${manifest.startedAt} is lost here.`, ...told].join('\n') }
}

/** Restores the backup into a database of its own. */
export function restoreStep(backup: StoredBackup, options: KeepOptions & Unsealing): Step {
  return {
    id: 'restore',
    title: `Restore ${basename(backup.path)} into a new database beside the live one`,
    effect: 'write',
    run: async context => {
      const { toolbox, progress, dryRun, stop } = context
      await noteKeptUntil(context, options)
      const fresh = await makeFresh(context, 'restore')
      const source = dumpOf(backup, await unsealing(options))
      toolbox.ledger.command(restoreLine(toolbox, source, fresh))
      const onProgress = (bytes: number) => progress(`${Math.round(bytes / 1e6)} MB`)
      if (!dryRun) await restoreInto(toolbox, source, fresh, { onProgress, stop, onUnseen: noteUnseen(context) })
    },
    undo: undoFresh,
  }
}

export function undoFresh(context: StepContext): Promise<void> {
  return takeFreshBack(context, 'restore')
}

/** Refuses to go on with a database that is not what was backed up. */
export function compareStep({ manifest }: StoredBackup): Step {
  return {
    id: 'compare',
    title: 'Compare every table’s rows and the schema with the manifest',
    effect: 'read',
    run: async context => {
      if (context.dryRun) return
      const { fresh } = await namesOf(context)
      const expected = { tables: countedTables(manifest), shape: manifest.shape }
      const [first, ...others] = await differencesIn(context.toolbox, fresh, expected)
      if (first === undefined) return
      throw new RefusedError({
        code: 'restored-otherwise',
        message: 'What was restored is not what was backed up.',
        cause: others.length === 0 ? first : `${first} And ${others.length} more.`,
      })
    },
  }
}

type Unsealing = Pick<RestoreOptions, 'identity'>

async function unsealing({ identity }: Unsealing) {
  return identity === undefined ? undefined : decryptWith(identity)
}

/** Refuses what is not this instance's, or of a release that the installed one does not know. Returns how it fits. */
export async function refuseForeign(toolbox: Toolbox, backup: StoredBackup): Promise<Fit> {
  await refuseOther(toolbox, backup)
  await refuseOtherSecrets(toolbox, backup)
  return refuseUnfit(toolbox, backup.manifest.schema.versions)
}

async function refuseOther(toolbox: Toolbox, { manifest }: StoredBackup): Promise<void> {
  const domain = await toolbox.app.domain()
  if (manifest.instance.domain === domain) return
  throw new RefusedError({
    code: 'backup-of-another-domain',
    message: `The backup is of ${manifest.instance.domain}, this instance is ${domain}.`,
    cause: 'Accounts, posts and keys belong to their domain: other servers know them by it.',
    next: 'Choose a backup of this instance: mstdn-ops db:backups',
  })
}

async function refuseOtherSecrets(toolbox: Toolbox, { manifest }: StoredBackup): Promise<void> {
  const found = mismatches(manifest, await toolbox.app.config())
  if (toolbox.backend.config === undefined || found.length === 0) return
  const named = found.map(({ name, problem }) => `${name} ${problem === 'missing' ? 'is not set' : 'is another'}`)
  throw new RefusedError({
    code: 'other-secrets',
    message: 'The secrets of the instance are not those of the backup.',
    cause: `${named.join('; ')}. What the backup holds encrypted could not be read with them.`,
    next: 'Set the former values (mstdn-ops config:set NAME), then run the command again.',
  })
}

/** The whole dump is decoded before anything is changed. */
export async function refuseBad(toolbox: Toolbox, backup: StoredBackup, options: Unsealing): Promise<void> {
  const problem = await problemWithFiles(backup)
  if (problem !== undefined) throw bad(backup, problem)
  const { tools, equipment } = await dumpTools(toolbox)
  const found = await decode(tools, equipment, dumpOf(backup, await unsealing(options)))
  const difference = differingCount(countedTables(backup.manifest), found)
  if (difference !== undefined) throw bad(backup, difference)
}

function bad({ name }: StoredBackup, cause: string): RefusedError {
  return new RefusedError({
    code: 'backup-is-bad',
    message: `The backup ${name} is damaged: nothing was changed.`,
    cause,
    next: 'Restore another one: mstdn-ops db:backups',
  })
}
