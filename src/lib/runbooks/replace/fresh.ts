import { dropDatabase, withMaintenance } from '../../postgres/scratch.js'
import { identityOf, renameDatabase } from '../../postgres/swap.js'
import type { StepContext } from '../../runbook/step.js'
import { namesOf } from './names.js'

/**
 * Takes the new database of a run back. One that the instance has served from may hold what people have written since:
 * that is kept, as a rollback would, and the operator is told. Any other is dropped.
 */
export async function takeFreshBack(context: StepContext, purpose: string): Promise<void> {
  const { toolbox } = context
  const { fresh, kept } = await namesOf(context)
  await withMaintenance(toolbox, purpose, async maintenance => {
    if (!hasServed(context, await identityOf(maintenance, fresh))) return dropDatabase(maintenance, fresh)
    await renameDatabase(maintenance, fresh, kept)
    toolbox.output.warn(`What was written meanwhile is kept as ${kept}: mstdn-ops db:discard drops it.`)
  })
}

/** It was the live database, and everything had been started with it. */
function hasServed({ noted }: StepContext, identity: string | undefined): boolean {
  return identity !== undefined && identity === noted('fresh-oid') && noted('stopped-for') !== undefined
}
