import { dumpTools } from '../../backups/database.js'
import { openOther } from '../../backups/restore-into.js'
import { mustHaveSameShape, schemaStages } from '../../postgres/copy-schema.js'
import { openPipeline } from '../../postgres/pipeline.js'
import { createLike, dropDatabase, withMaintenance } from '../../postgres/scratch.js'
import { traitsOf } from '../../postgres/snapshot.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { shellLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { namesOf } from './names.js'

/**
 * Makes a database with the live one's tables and without its rows. By PostgreSQL's own programs: the app's commands
 * would have to be pointed at another database, and load a schema of their release, not of this server.
 */
export function emptyStep(begin: (context: StepContext) => Promise<void>): Step {
  return {
    id: 'empty',
    title: 'Make an empty database with the same tables beside the live one',
    effect: 'write',
    run: async context => {
      const { toolbox, dryRun } = context
      await begin(context)
      const { fresh } = await namesOf(context)
      const traits = await traitsOf(await toolbox.database())
      await withMaintenance(toolbox, 'reset', async maintenance => {
        await dropDatabase(maintenance, fresh)
        await createLike(maintenance, fresh, traits)
      })
      recordSchema(toolbox, fresh)
      if (!dryRun) await makeSchema(toolbox, fresh)
    },
    undo: async context => {
      const { fresh } = await namesOf(context)
      await withMaintenance(context.toolbox, 'reset', maintenance => dropDatabase(maintenance, fresh))
    },
  }
}

function recordSchema({ ledger }: Toolbox, fresh: string): void {
  const line = schemaStages(fresh)
    .map(({ words }) => shellLine(words))
    .join(' | ')
  ledger.record({ kind: 'command', exact: line, byHand: line })
}

async function makeSchema(toolbox: Toolbox, fresh: string): Promise<void> {
  const { tools } = await dumpTools(toolbox)
  const { run, ended } = await openPipeline(tools, schemaStages(fresh), {
    what: 'pg_dump --schema-only',
    effect: 'write',
  })
  run.stdout.resume()
  await ended
  const database = await openOther(toolbox, fresh, 'compare')
  try {
    await mustHaveSameShape(await toolbox.database(), database)
  } finally {
    await database.close()
  }
}
