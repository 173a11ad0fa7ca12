import type { Built } from '../../../../backends/release-build.js'
import { RefusedError } from '../../../../errors.js'
import { appliedMigrations } from '../../../../mastodon/migrations.js'
import type { RunRecord } from '../../../../runbook/journal.js'
import { plural } from '../../../../text.js'
import type { Toolbox } from '../../../../toolbox.js'
import { safetyBackup } from '../../../replace/safety-backup.js'
import type { DeployOptions } from '../../deploy-options.js'
import { FORMER } from '../../deploy-push.js'
import { APPLIED_BEFORE } from '../../serving.js'

export interface DeployedBackOptions {
  /** The run of the upgrade. */
  of: string
  /** The release that is left, and the one that is gone back to. */
  from: string
  to: string
  /** What the platform has built of the former code. */
  former: Built
  /** What the upgrade has pushed. */
  commit: string
  /** The folder of the backup that has to be restored; absent where no migration was applied. */
  backup?: string
  identity?: string
  /** How long Sidekiq may work its queues off, where the database is replaced. */
  drainSeconds: number
}

/**
 * Returns how an upgrade is taken back that the platform has built: the code alone, until migrations were applied.
 *
 * @throws RefusedError where the backup is needed, and none was made.
 */
export async function deployedBackOptionsOf(
  toolbox: Toolbox,
  record: RunRecord,
  said: Pick<DeployedBackOptions, 'drainSeconds' | 'identity'>,
): Promise<DeployedBackOptions> {
  const { from: to, to: from, sources } = record.header.options as DeployOptions
  const former = JSON.parse(record.notes.get(FORMER) ?? '{}') as Built
  const options = { of: record.header.runId, from, to, former, commit: sources.commit, ...said }
  const why = await whyNotCode(toolbox, record)
  return why === undefined ? options : { ...options, backup: backupOf(record, why) }
}

/** Returns why the former code cannot serve with the database as it is; undefined where it can. */
export async function whyNotCode(toolbox: Toolbox, { header, notes }: RunRecord): Promise<string | undefined> {
  const { from } = header.options as DeployOptions
  const before = new Set((notes.get(APPLIED_BEFORE) ?? '').split(' '))
  const since = [...(await appliedMigrations(toolbox))].filter(id => !before.has(id))
  if (since.length === 0) return undefined
  return `${plural(since.length, 'migration was', 'migrations were')} applied since, for which ${from} is not made.`
}

function backupOf({ header, notes }: RunRecord, cause: string): string {
  const path = safetyBackup(key => notes.get(key))?.path
  if (path) return path
  const { from } = header.options as DeployOptions
  throw new RefusedError({
    code: 'upgrade-without-backup',
    message: `Going back to ${from} takes the backup of before, and the upgrade made none.`,
    cause,
    next: `Go on with the release that is in force. Or look for a backup that ${from} made (mstdn-ops db:backups), push the code of ${from}, and put that back at once: mstdn-ops db:restore NAME`,
  })
}
