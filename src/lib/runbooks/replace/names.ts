import { lacks } from '../../open-toolbox.js'
import { freshName, keptName } from '../../postgres/kept.js'
import type { SwapNames } from '../../postgres/swap.js'
import type { StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'

/** Tells which databases a run swaps. */
export type Names = (context: StepContext) => Promise<SwapNames>

/** Returns the names of a run that replaces the live database by one that it makes. */
export async function namesOf({ toolbox, runId }: StepContext): Promise<SwapNames> {
  return { live: await liveName(toolbox), fresh: freshName(runId), kept: keptName(runId) }
}

/** Returns the name of the instance's own database. */
export async function liveName({ backend }: Toolbox): Promise<string> {
  if (backend.postgres === undefined) throw lacks(backend, 'postgres', 'PostgreSQL')
  return (await backend.postgres.target()).database
}
