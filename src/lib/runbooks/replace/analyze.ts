import { openOther } from '../../backups/restore-into.js'
import type { Step } from '../../runbook/step.js'
import { namesOf } from './names.js'

/** Without statistics the first hours would be slow. */
export function analyzeStep(): Step {
  return {
    id: 'analyze',
    title: 'Gather the statistics that queries are planned by',
    effect: 'write',
    run: async context => {
      if (context.dryRun) return
      const database = await openOther(context.toolbox, (await namesOf(context)).fresh, 'analyze')
      try {
        await database.write('ANALYZE')
      } finally {
        await database.close()
      }
    },
    // It goes with the new database.
    undo: async () => undefined,
  }
}
