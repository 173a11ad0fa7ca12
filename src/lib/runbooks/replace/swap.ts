import { openOther } from '../../backups/restore-into.js'
import { labelKept } from '../../postgres/kept.js'
import { withMaintenance } from '../../postgres/scratch.js'
import { raiseSequences } from '../../postgres/sequences.js'
import { identityOf, swapDatabases } from '../../postgres/swap.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { namesOf } from './names.js'

/** Ids that the replaced database gave out are known to other servers, which would ignore them the second time. */
export function raiseStep(): Step {
  return {
    id: 'raise-ids',
    title: 'Let new ids begin above all that were ever given out',
    effect: 'write',
    run: async context => {
      if (context.dryRun) return
      const { live, fresh } = await namesOf(context)
      const [from, to] = [await openOther(context.toolbox, live, 'ids'), await openOther(context.toolbox, fresh, 'ids')]
      try {
        await raiseSequences(from, to)
      } finally {
        await Promise.all([from.close(), to.close()])
      }
    },
    // It goes with the new database.
    undo: async () => undefined,
  }
}

/** Gives the new database the live one's name and keeps the old one, in one transaction. */
export function swapStep(keepUntil: (context: StepContext) => string | null): Step {
  return {
    id: 'swap',
    title: 'Put the new database in the place of the live one, and keep that',
    effect: 'write',
    done: isSwapped,
    run: async context => {
      const names = await namesOf(context)
      await context.toolbox.letGoOfDatabase()
      await withMaintenance(context.toolbox, 'swap', async maintenance => {
        const fresh = await identityOf(maintenance, names.fresh)
        if (!context.dryRun) await context.note('fresh-oid', fresh ?? '')
        await swapDatabases(maintenance, names)
        await labelKept(maintenance, names.kept, names.live, keepUntil(context))
      })
    },
    undo: async context => {
      if (!(await isSwapped(context))) return
      const { live, fresh, kept } = await namesOf(context)
      await context.toolbox.letGoOfDatabase()
      await withMaintenance(context.toolbox, 'swap back', maintenance =>
        swapDatabases(maintenance, { live, fresh: kept, kept: fresh }),
      )
    },
  }
}

/** The names tell nothing after a crash: the number that the server gave the new database does. */
async function isSwapped(context: StepContext): Promise<boolean> {
  const fresh = context.noted('fresh-oid')
  if (!fresh) return false
  const { live } = await namesOf(context)
  return withMaintenance(context.toolbox, 'look', async maintenance => (await identityOf(maintenance, live)) === fresh)
}
