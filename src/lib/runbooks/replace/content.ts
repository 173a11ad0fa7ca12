import type { PostgresConnector } from '../../backends/backend.js'
import { differencesOf, type Expected, openThrough } from '../../backups/restore-into.js'
import { RefusedError } from '../../errors.js'
import type { Database } from '../../postgres/access.js'
import type { Step, StepContext } from '../../runbook/step.js'
import type { Lacking } from './migrate.js'

/** What comes into the place of the live database. */
export interface Content {
  /** For people: the backup's name. */
  name: string
  /** Restores it into the database behind the connector; over what a killed restore of it has left there. */
  into(context: StepContext, connector: PostgresConnector): Promise<void>
  /** The line by which an operator would do it. */
  line(context: StepContext, database: string): Promise<string>
  /** Tells how many migrations of the installed release it lacks. */
  lacking: Lacking
  expected(context: StepContext): Promise<Expected>
  /** Refuses what was restored for another reason than that it is not what it should be. */
  refuse?(context: StepContext, database: Database): Promise<void>
}

/** Leads to the database that is filled. */
export type Target = (context: StepContext) => Promise<PostgresConnector>

/** Refuses to go on with a database that is not what was backed up. */
export function compareContentStep(content: Content, target: Target): Step {
  return {
    id: 'compare',
    title: 'Compare every table’s rows and the schema with the manifest',
    effect: 'read',
    run: async context => {
      if (context.dryRun) return
      const connector = await target(context)
      const [first, ...others] = await differencesAt(context, connector, await content.expected(context))
      if (first === undefined) return refuse(content, context, connector)
      throw new RefusedError({
        code: 'restored-otherwise',
        message: 'What was restored is not what was backed up.',
        cause: others.length === 0 ? first : `${first} And ${others.length} more.`,
      })
    },
  }
}

async function refuse(content: Content, context: StepContext, connector: PostgresConnector): Promise<void> {
  if (content.refuse === undefined) return
  const database = await openThrough(context.toolbox, connector, 'compare')
  await content.refuse(context, database).finally(() => database.close())
}

/** Returns in words what the database behind the connector lacks or has differently. */
export async function differencesAt(
  { toolbox }: StepContext,
  connector: PostgresConnector,
  expected: Expected,
): Promise<string[]> {
  const database = await openThrough(toolbox, connector, 'compare')
  return differencesOf(database, expected).finally(() => database.close())
}

/** Without statistics the first hours would be slow. */
export function analyzeTargetStep(target: Target): Step {
  return {
    id: 'analyze',
    title: 'Gather the statistics that queries are planned by',
    effect: 'write',
    run: async context => {
      if (context.dryRun) return
      const database = await openThrough(context.toolbox, await target(context), 'analyze')
      await database.write('ANALYZE').finally(() => database.close())
    },
    // It goes with the database that was filled.
    undo: async () => undefined,
  }
}
