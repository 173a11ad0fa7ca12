import { createLike, dropDatabase, withMaintenance } from '../../postgres/scratch.js'
import { traitsOf } from '../../postgres/snapshot.js'
import { setForRoles, standingClauses, standingOf } from '../../postgres/standing.js'
import { identityOf, renameDatabase } from '../../postgres/swap.js'
import type { StepContext } from '../../runbook/step.js'
import { namesOf } from './names.js'

/**
 * Makes an empty database that can take the live one's place, in place of what a killed run left, and returns its name.
 * What this user may not set is told.
 */
export async function makeFresh(context: StepContext, purpose: string): Promise<string> {
  const { toolbox } = context
  const { fresh } = await namesOf(context)
  const live = await toolbox.database()
  const [traits, standing] = [await traitsOf(live), await standingOf(live)]
  await withMaintenance(toolbox, purpose, async maintenance => {
    await dropDatabase(maintenance, fresh)
    await createLike(maintenance, fresh, traits, standingClauses(standing))
    const left = await setForRoles(maintenance, fresh, standing)
    if (left.length > 0) toolbox.output.warn(`Not set in the new database, for want of rights: ${left.join(', ')}.`)
  })
  return fresh
}

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
