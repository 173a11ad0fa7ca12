import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../errors.js'
import type { Database } from '../../postgres/access.js'
import { createLike, dropDatabase, withMaintenance } from '../../postgres/scratch.js'
import { traitsOf } from '../../postgres/snapshot.js'
import { setForRoles, standingClauses, standingOf } from '../../postgres/standing.js'
import { identityOf, renameDatabase } from '../../postgres/swap.js'
import type { StepContext } from '../../runbook/step.js'
import { namesOf } from './names.js'
import { mayHaveServed } from './writers.js'

/** Milliseconds that a server gets which was restarted, or recovers from a crash, often the very cause of the way back. */
const PATIENCE_MS = 60_000

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
    const unset = await createLike(maintenance, fresh, traits, standingClauses(standing))
    const left = [...unset, ...(await setForRoles(maintenance, fresh, standing))]
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
  await onceUp(context, purpose, async maintenance => {
    if (!hasServed(context, await identityOf(maintenance, fresh))) return dropDatabase(maintenance, fresh)
    await renameDatabase(maintenance, fresh, kept)
    toolbox.output.warn(`What was written meanwhile is kept as ${kept}: mstdn-ops db:discard drops it.`)
  })
}

/** What tells that the server is away; the work can be begun anew where it was lost. */
const AWAY = ['postgres-unreachable', 'no-connection', 'postgres-lost']

/** Does the work in a maintenance database, as soon as the server lets anybody in. */
async function onceUp(
  { toolbox, progress }: StepContext,
  purpose: string,
  work: (maintenance: Database) => Promise<void>,
): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    try {
      return await withMaintenance(toolbox, purpose, work)
    } catch (error) {
      const isAway = error instanceof OperatorError && AWAY.includes(error.code)
      if (!isAway || Date.now() > deadline) throw error
      progress('waiting for the server')
      await sleep(1_000)
    }
  }
}

/** It was the live database, and it had been begun to start everything with it. */
function hasServed(context: StepContext, identity: string | undefined): boolean {
  return identity !== undefined && identity === context.noted('fresh-oid') && mayHaveServed(context)
}
