import { openOther } from '../../backups/restore-into.js'
import type { Database } from '../../postgres/access.js'
import { withMaintenance } from '../../postgres/scratch.js'
import { idsGivenOut, raiseLine, raiseLow, raiseSequences } from '../../postgres/sequences.js'
import { identityOf, swapDatabases } from '../../postgres/swap.js'
import type { Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { migratedIdsStep } from './migrate.js'
import type { Names } from './names.js'
import { mayHaveServed } from './writers.js'

/** Ids that the replaced database gave out are known to other servers, which would ignore them the second time. */
export function raiseStep(names: Names): Step {
  return {
    id: 'raise-ids',
    title: 'Let new ids begin above all that were ever given out',
    effect: 'write',
    run: async context => {
      const { live, fresh } = await names(context)
      recordRaising(context.toolbox, live, fresh)
      if (!context.dryRun) await betweenBoth(context, { from: live, to: fresh }, raiseSequences)
    },
    // It goes with the new database; but what that gave out while the instance served from it must not come again either.
    undo: async context => {
      if (!mayHaveServed(context)) return
      const { live, fresh } = await names(context)
      await betweenBoth(context, { from: fresh, to: live }, raiseSequences)
    },
  }
}

/** What migrations have made after the swap is raised above what the replaced database had. */
export function raiseMigratedStep(names: Names): Step {
  return migratedIdsStep(async context => {
    const { live, kept } = await names(context)
    recordRaising(context.toolbox, kept, live)
    if (context.dryRun) return
    const low = async (from: Database, to: Database) => raiseLow(await idsGivenOut(from), to)
    await betweenBoth(context, { from: kept, to: live }, low)
  })
}

function recordRaising({ ledger, backend }: Toolbox, from: string, to: string): void {
  ledger.command(`${raiseLine(from, to)}   # in ${backend.postgres?.where}`)
}

async function betweenBoth(
  { toolbox }: StepContext,
  names: { from: string; to: string },
  work: (from: Database, to: Database) => Promise<unknown>,
): Promise<void> {
  const from = await openOther(toolbox, names.from, 'ids')
  const to = await openOther(toolbox, names.to, 'ids').catch(error => from.close().then(() => Promise.reject(error)))
  try {
    await work(from, to)
  } finally {
    await Promise.all([from.close(), to.close()])
  }
}

/** Gives the new database the live one's name and keeps the old one, in one transaction. */
export function swapStep(names: Names, keepUntil: (context: StepContext) => string | null): Step {
  return {
    id: 'swap',
    title: 'Put the new database in the place of the live one, and keep that',
    effect: 'write',
    done: context => isSwapped(context, names),
    run: async context => {
      const swap = await names(context)
      await context.toolbox.letGoOfDatabase()
      await withMaintenance(context.toolbox, 'swap', async maintenance => {
        const fresh = await identityOf(maintenance, swap.fresh)
        if (!context.dryRun) await context.note('fresh-oid', fresh ?? '')
        await context.note('kept', swap.kept)
        await swapDatabases(maintenance, swap, keepUntil(context))
      })
    },
    undo: async context => {
      if (!(await isSwapped(context, names))) return
      const { live, fresh, kept } = await names(context)
      await context.toolbox.letGoOfDatabase()
      await withMaintenance(context.toolbox, 'swap back', maintenance =>
        swapDatabases(maintenance, { live, fresh: kept, kept: fresh }, null),
      )
    },
  }
}

/** The names tell nothing after a crash: the number that the server gave the new database does. */
async function isSwapped(context: StepContext, names: Names): Promise<boolean> {
  const fresh = context.noted('fresh-oid')
  if (!fresh) return false
  const { live } = await names(context)
  return withMaintenance(context.toolbox, 'look', async maintenance => (await identityOf(maintenance, live)) === fresh)
}
