import { holdsNothing, openThrough } from '../../backups/restore-into.js'
import { idsGivenOut, raiseAbove } from '../../postgres/sequences.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { BROKEN } from './close.js'
import type { Content } from './content.js'
import { capturesOf, liveDatabase } from './live.js'
import { putSafetyBack } from './safety-capture.js'

/** What was given out cannot be asked when the database is no more. */
export function noteIdsStep(): Step {
  return {
    id: 'note-ids',
    title: 'Note which ids were given out',
    effect: 'read',
    run: async context => {
      const ids = await idsGivenOut(await context.toolbox.database())
      await context.note('ids', JSON.stringify([...ids].map(([name, id]) => [name, String(id)])))
    },
  }
}

/** Empties the live database. Taken back by the safety backup. */
export function resetStep(): Step {
  return {
    id: 'reset',
    title: 'Delete all data in the live database',
    effect: 'write',
    done: async context => context.noted(BROKEN) === 'yes' && (await isEmpty(context)),
    run: async context => {
      if (!context.dryRun) await noteMark(context)
      await empty(context)
    },
    undo: async context => {
      if (context.noted('mark') === undefined) return
      if ((await markOf(context).catch(() => undefined)) !== context.noted('mark')) await putSafetyBack(context, empty)
      await context.note(BROKEN, 'no')
    },
  }
}

/** Restores the backup into the emptied database; once more from the beginning, where a killed run had begun with it. */
export function fillLiveStep(content: Content): Step {
  return {
    id: 'restore',
    title: `Restore ${content.name}`,
    effect: 'write',
    run: async context => {
      if (context.dryRun) return
      if (!(await isEmpty(context))) await empty(context)
      await content.into(context, await liveDatabase(context))
      await context.toolbox.letGoOfDatabase()
    },
    // The safety backup, which the step before puts back, replaces it.
    undo: async () => undefined,
  }
}

/** Ids that the replaced state gave out are known to other servers, which would ignore them the second time. */
export function raiseNotedStep(): Step {
  return {
    id: 'raise-ids',
    title: 'Let new ids begin above all that were ever given out',
    effect: 'write',
    run: async context => {
      if (context.dryRun) return
      const noted = JSON.parse(context.noted('ids') ?? '[]') as [string, string][]
      const ids = new Map(noted.map(([name, id]) => [name, BigInt(id)]))
      await raiseAbove(ids, await context.toolbox.database())
    },
    undo: async () => undefined,
  }
}

/** A reset ends all sessions, that of the lock too. */
async function empty(context: StepContext): Promise<void> {
  const { toolbox } = context
  await toolbox.letGoOfDatabase()
  await capturesOf(toolbox).reset(() => isEmpty(context))
  if (!context.dryRun) await context.lockAgain()
}

/** Over a connection of its own, for a reset ends the others. */
async function isEmpty(context: StepContext): Promise<boolean> {
  const database = await openThrough(context.toolbox, await liveDatabase(context), 'look')
  return holdsNothing(database).finally(() => database.close())
}

async function noteMark(context: StepContext): Promise<void> {
  if (context.noted('mark') === undefined) await context.note('mark', await markOf(context))
  await context.note(BROKEN, 'yes')
}

/** Tells whether the database is still the one that was noted: made anew, it and its tables have other numbers. */
async function markOf(context: StepContext): Promise<string> {
  const database = await openThrough(context.toolbox, await liveDatabase(context), 'look')
  const [row] = await database
    .query<{ mark: string }>(
      `SELECT concat_ws(' ', (SELECT oid FROM pg_database WHERE datname = current_database()), count(*), max(oid::bigint))
       AS mark FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace`,
    )
    .finally(() => database.close())
  return row?.mark ?? ''
}
