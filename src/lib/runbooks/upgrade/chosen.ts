import type { OwnCommit } from '../../backends/release-build.js'
import { UsageError } from '../../errors.js'
import type { UpgradePlan } from '../../mastodon/upgrade/plan.js'
import type { Runbook } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { deploy } from './deploy.js'
import { deployOptionsOf, type SaidOfSources } from './deploy-options.js'
import { optionsOf, type Said, type UpgradeOptions, type UpgradeResult } from './options.js'
import { upgrade } from './upgrade.js'

/** A run that carries a plan out. */
export interface Chosen {
  runbook: Runbook<UpgradeOptions, UpgradeResult>
  options: UpgradeOptions
  /** Commits of the operator's own that are deployed with it, newest first; absent where nothing is built. */
  own?: readonly OwnCommit[]
}

/** Returns the run that carries the plan out here; undefined in a dry run where nothing can. */
export async function chosenRun(
  toolbox: Toolbox,
  plan: UpgradePlan,
  said: Said & SaidOfSources,
): Promise<Chosen | undefined> {
  const { releases } = toolbox.backend
  if (releases?.build) {
    const options = await deployOptionsOf(toolbox, plan, said)
    return { runbook: deploy as unknown as Chosen['runbook'], options, own: options.sources.own }
  }
  if (said.discard || said.rebase || said.checkout !== undefined) throw nothingIsBuilt(toolbox)
  if (toolbox.dryRun && releases?.change === undefined) return undefined
  return { runbook: upgrade, options: optionsOf(toolbox, plan, said) }
}

function nothingIsBuilt({ backend }: Toolbox): UsageError {
  return new UsageError({
    code: 'nothing-is-built',
    message: `--checkout, --rebase and --discard-local-commits mean nothing for ${backend.title}.`,
    cause: 'They are for a platform that builds what is pushed to it.',
    next: 'Leave them out.',
  })
}
