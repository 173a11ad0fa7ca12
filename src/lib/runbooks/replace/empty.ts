import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { PostgresConnector } from '../../backends/backend.js'
import { dumpTools } from '../../backups/database.js'
import { restoreThrough } from '../../backups/restore-into.js'
import { mustHaveSameShape, schemaDump, schemaStages } from '../../postgres/copy-schema.js'
import { openPipeline, type Stage } from '../../postgres/pipeline.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { shellLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import type { Target } from './content.js'
import { makeFresh, takeFreshBack } from './fresh.js'
import { besideByName, besideOrdered, inBoth } from './sides.js'

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
      const fresh = await makeFresh(context, 'reset')
      record(toolbox, schemaStages(fresh))
      if (dryRun) return
      await pourSchema(toolbox, fresh)
      await inBoth(besideByName, context, 'compare', mustHaveSameShape)
    },
    undo: context => takeFreshBack(context, 'reset'),
  }
}

/** Makes the live database's tables in one that was ordered. */
export function tablesStep(target: Target): Step {
  return {
    id: 'empty',
    title: 'Make the same tables in the new database',
    effect: 'write',
    run: async context => {
      record(context.toolbox, schemaStages('NEW_DATABASE'))
      if (context.dryRun) return
      await carrySchema(context.toolbox, await target(context))
      await inBoth(besideOrdered, context, 'compare', mustHaveSameShape)
    },
    // It goes with the new database.
    undo: async () => undefined,
  }
}

function record({ ledger }: Toolbox, stages: readonly Stage[]): void {
  ledger.command(stages.map(({ words }) => shellLine(words)).join(' | '))
}

/** On the same server, so that nothing of it comes through here. */
async function pourSchema(toolbox: Toolbox, fresh: string): Promise<void> {
  const { tools } = await dumpTools(toolbox)
  const how = { what: 'pg_dump --schema-only', effect: 'write' } as const
  const { run, ended } = await openPipeline(tools, schemaStages(fresh), how)
  run.stdout.resume()
  await ended
}

/** By a file, which is read twice: first for what only a superuser could restore. */
async function carrySchema(toolbox: Toolbox, target: PostgresConnector): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'mstdn-ops-schema-'))
  try {
    const path = join(dir, 'schema.dump')
    await dumpTablesTo(toolbox, path)
    await restoreThrough(toolbox, target, { path, zstd: false })
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Writes the live database's tables, without rows, into a file. */
export async function dumpTablesTo(toolbox: Toolbox, path: string): Promise<void> {
  const { tools } = await dumpTools(toolbox)
  const dump = await openPipeline(tools, [schemaDump()], { what: 'pg_dump --schema-only', effect: 'read' })
  await pipeline(dump.run.stdout, createWriteStream(path, { mode: 0o600 }))
  await dump.ended
}
