import { beforeEmptied, rowsIn } from '../../backups/row-files.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { refuseForeign } from './in-place.js'
import { emptied, inEmptied, keptFiles, rowsDir } from './kept-rows.js'
import { type Left, mergeInto, planMerge, recordMerge, refuseUnmerged, rulesOf } from './merge.js'

const BY_HAND = {
  ...emptied,
  source: async (context: StepContext) => beforeEmptied(await emptied.planned(context)),
}

/** Puts what was written down of the emptied database into the restored one, in one transaction. */
export function mergeFilesStep(left: Left): Step {
  return {
    id: 'merge',
    title: 'Put what is kept in the place of what the backup has of it',
    effect: 'write',
    run: async context => {
      if (context.dryRun) return planMerge(context, left, BY_HAND)
      await refuseForeign(context)
      const index = await keptFiles(context)
      const merging = await rulesOf(context.toolbox, new Set(Object.keys(index.columns)), left)
      await inEmptied(context, 'merge', to => mergeInto(context, rowsIn(rowsDir(context), index), to, merging))
      await recordMerge(context, merging.rows, BY_HAND)
    },
    // The safety backup replaces it.
    undo: async () => undefined,
  }
}

/** Compares with what was written down, by counting. */
export function compareMergedFilesStep(left: Left): Step {
  return {
    id: 'compare-kept',
    title: 'Compare how many rows of each kept table there were and are',
    effect: 'read',
    run: async context => {
      if (context.dryRun) return
      const { files, columns } = await keptFiles(context)
      const merging = await rulesOf(context.toolbox, new Set(Object.keys(columns)), left)
      const rowsOf = ({ table, where }: { table: string; where?: string }) =>
        files.find(({ copy }) => copy.table === table && copy.where === where)?.rows ?? 0
      await inEmptied(context, 'compare', to => refuseUnmerged(context, to, merging, async copy => rowsOf(copy)))
    },
  }
}
