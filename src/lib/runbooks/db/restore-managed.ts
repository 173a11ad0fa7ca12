import { basename } from 'node:path'
import { dumpTools } from '../../backups/database.js'
import { decryptWith } from '../../backups/encryption.js'
import { countedTables } from '../../backups/manifest.js'
import { restoreThrough, restoreThroughLine } from '../../backups/restore-into.js'
import type { StoredBackup } from '../../backups/store.js'
import { decode, dumpOf } from '../../backups/verify.js'
import { mayCreateDatabases } from '../../postgres/scratch.js'
import type { Step } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { closeStep, lookHereStep, openStep, startAllStep, stopAllStep } from '../replace/close.js'
import { analyzeTargetStep, type Content, compareContentStep } from '../replace/content.js'
import { duePostsStep } from '../replace/due-posts.js'
import { feedsStep } from '../replace/feeds.js'
import { goneMediaStep } from '../replace/gone-media.js'
import {
  endRecordStep,
  fillLiveStep,
  noteIdsStep,
  raiseNotedMigratedStep,
  raiseNotedStep,
  resetStep,
} from '../replace/in-place.js'
import { capturesOf, liveDatabase } from '../replace/live.js'
import { type Lacking, migrateStep } from '../replace/migrate.js'
import {
  costs,
  fillStep,
  newDatabase,
  orderStep,
  planNamed,
  promoteStep,
  raiseNewMigratedStep,
  raiseNewStep,
} from '../replace/new-database.js'
import { clearRedisStep, drain, jobsAsideStep, replayStep } from '../replace/redis.js'
import { safetyCaptureStep } from '../replace/safety-capture.js'
import { formationOf } from '../scale/scale.js'
import { refuseUnfit } from './fit.js'
import type { TakeItsPlaceOptions } from './restore.js'

export interface ManagedOptions extends TakeItsPlaceOptions {
  /** The plan of a second database that is ordered for it. */
  newDatabase?: string
}

/** How a state comes into the place of the live one where the platform runs the database. */
export interface ManagedWay {
  /** Refuses what can be refused before anything happens. */
  check(): Promise<void>
  /** What the operator must know of it before. */
  told(): Promise<string>
  steps(): Promise<Step[]>
  /** What the replaced state is kept as. */
  keptAs: 'addon' | 'backup'
}

/**
 * Returns the way where a second database can only be ordered; undefined where it can be made beside the live one on
 * the same server.
 */
export async function managedWay(
  toolbox: Toolbox,
  content: Content,
  options: ManagedOptions,
): Promise<ManagedWay | undefined> {
  if (options.newDatabase !== undefined) return besideOrdered(toolbox, content, options, options.newDatabase)
  if (toolbox.backend.captures === undefined || (await mayCreateDatabases(await toolbox.database()))) return undefined
  return inPlace(toolbox, content, options)
}

/** The new database is filled and compared while the live one serves; that stays as it is. */
function besideOrdered(toolbox: Toolbox, content: Content, options: ManagedOptions, plan: string): ManagedWay {
  return {
    keptAs: 'addon',
    check: async () => {
      formationOf(toolbox)
      await planNamed(toolbox, plan)
    },
    told: () => costs(toolbox, plan),
    steps: async () => [
      orderStep(await planNamed(toolbox, plan), options),
      fillStep(content),
      compareContentStep(content, newDatabase),
      analyzeTargetStep(newDatabase),
      closeStep(),
      stopAllStep(drain(options.drainSeconds)),
      lookHereStep(),
      jobsAsideStep(),
      raiseNewStep(),
      promoteStep(),
      ...afterwards(content, options, raiseNewMigratedStep()),
    ],
  }
}

/** There is one database, and it is emptied: nobody writes any more when the safety backup is made. */
function inPlace(toolbox: Toolbox, content: Content, options: ManagedOptions): ManagedWay {
  return {
    keptAs: 'backup',
    check: async () => {
      formationOf(toolbox)
      await capturesOf(toolbox).usable()
    },
    told: async () =>
      'The database is emptied and filled again while the instance is closed (with --new-database PLAN it goes on serving).',
    steps: async () => [
      closeStep(),
      stopAllStep(drain(options.drainSeconds)),
      lookHereStep(),
      safetyCaptureStep('before-restore'),
      noteIdsStep(),
      jobsAsideStep(),
      resetStep(),
      fillLiveStep(content),
      compareContentStep(content, liveDatabase),
      analyzeTargetStep(liveDatabase),
      raiseNotedStep(),
      ...afterwards(content, options, raiseNotedMigratedStep(), [endRecordStep()]),
    ],
  }
}

function afterwards(
  { lacking }: Content,
  { replayJobs }: ManagedOptions,
  raiseMigrated: Step,
  last: readonly Step[] = [],
): Step[] {
  return [
    clearRedisStep(),
    migrateStep('all', lacking),
    raiseMigrated,
    ...(replayJobs ? [replayStep()] : []),
    duePostsStep(),
    startAllStep(),
    ...last,
    openStep(),
    goneMediaStep(),
    feedsStep(),
  ]
}

/** Tells how many migrations the installed release has that a backup lacks. */
export function lackingOf({ manifest }: StoredBackup): Lacking {
  return async toolbox => (await refuseUnfit(toolbox, manifest.schema.versions)).pending
}

/** Returns a backup's dump as what comes into the place of the live database. */
export function contentOf(backup: StoredBackup, { identity }: { identity?: string }): Content {
  const source = async () => dumpOf(backup, identity === undefined ? undefined : await decryptWith(identity))
  const counted = async (toolbox: Toolbox) => {
    const { tools, equipment } = await dumpTools(toolbox)
    return decode(tools, equipment, await source())
  }
  const { manifest } = backup
  return {
    name: basename(backup.path),
    into: async ({ toolbox, progress }, connector) => {
      const onProgress = (bytes: number) => progress(`${Math.round(bytes / 1e6)} MB`)
      await restoreThrough(toolbox, connector, await source(), { onProgress })
    },
    lacking: lackingOf(backup),
    line: async (_context, database) => restoreThroughLine(await source(), database),
    expected: async ({ toolbox }) => ({
      tables: countedTables(manifest) ?? (await counted(toolbox)),
      shape: manifest.shape,
    }),
  }
}
