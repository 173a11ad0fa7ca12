import { ownerOf } from '../../backups/owner.js'
import { storeOf } from '../../backups/store.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { BACKUP_NOTE, type BackupOptions, type BackupResult, backup } from '../db/backup.js'

/**
 * Makes a proven backup before anything is changed. One step, whose draft lives in this process alone: broken off, it is
 * made from the beginning.
 *
 * The runbook that takes it calls `backup.check` with the same options.
 */
export function safetyBackupStep(options: BackupOptions): Step {
  return {
    id: 'safety-backup',
    title: 'Make a backup, and prove it',
    effect: 'write',
    done: async context => safetyBackup(context.noted) !== undefined,
    run: context => makeBackup(context, options),
    // What is unfinished goes; a backup that is proven stays, and harms nobody.
    undo: async ({ toolbox, runId }) => void (await storeOf(toolbox).clean(await ownerOf(toolbox, runId))),
  }
}

/** Takes the steps of a backup inside of another step. */
export async function makeBackup(context: StepContext, options: BackupOptions): Promise<void> {
  for (const step of await backup.steps(context.toolbox, options)) await taken(step, context)
}

async function taken(step: Step, context: StepContext): Promise<void> {
  if (((await step.needed?.(context)) ?? true) === true) await step.run(context)
}

/** Returns the backup of a run's notes. */
export function safetyBackup(noted: (key: string) => string | undefined): BackupResult | undefined {
  const result = noted(BACKUP_NOTE)
  return result === undefined ? undefined : (JSON.parse(result) as BackupResult)
}
