import type { UpgradePlan } from '../../../mastodon/upgrade/plan.js'
import type { Toolbox } from '../../../toolbox.js'
import { optionsOf } from '../options.js'
import { backupToRehearse, type RehearsalOptions, type RehearsedIn } from './options.js'

/**
 * Returns the options of the rehearsal of a plan: with the newest backup, or where `fresh` or nothing fits with a dump that
 * is made for it, which is said.
 */
export async function rehearsalOf(
  toolbox: Toolbox,
  plan: UpgradePlan,
  { singlePhase, fresh, in: where = 'server' }: { singlePhase: boolean; fresh: boolean; in?: RehearsedIn | undefined },
): Promise<RehearsalOptions> {
  const upgrade = optionsOf(toolbox, plan, { singlePhase, backup: false })
  if (fresh) return { upgrade, backup: null, in: where }
  const { backup, why } = await backupToRehearse(toolbox)
  if (backup === null) toolbox.output.info(`A dump of the database is made for the rehearsal: ${why}.`)
  return { upgrade, backup: backup?.path ?? null, in: where }
}
