import { openOther, openThrough } from '../../backups/restore-into.js'
import type { Database } from '../../postgres/access.js'
import { whileRoom } from '../../postgres/room.js'
import type { StepContext } from '../../runbook/step.js'
import { namesOf } from './names.js'
import { addonsOf, newDatabase } from './new-database.js'
import { noteUnseen } from './room.js'

/** The live database and the new one, wherever that is. */
export interface Sides {
  live(context: StepContext, purpose: string): Promise<Database>
  fresh(context: StepContext, purpose: string): Promise<Database>
  /** What a plan calls the new one. */
  planned(context: StepContext): Promise<string>
  /** Whether the disk of the live one is filled with it. */
  isOnServer: boolean
}

/** The new one is on the same server, under a name of the run's. */
export const besideByName: Sides = {
  live: async (context, purpose) => openOther(context.toolbox, (await namesOf(context)).live, purpose),
  fresh: async (context, purpose) => openOther(context.toolbox, (await namesOf(context)).fresh, purpose),
  planned: async context => (await namesOf(context)).fresh,
  isOnServer: true,
}

/** The new one was ordered from the platform. */
export const besideOrdered: Sides = {
  live: async (context, purpose) => {
    const connector = await addonsOf(context.toolbox).connector(context.noted('old-addon') ?? '')
    return openThrough(context.toolbox, connector, purpose)
  },
  fresh: async (context, purpose) => openThrough(context.toolbox, await newDatabase(context), purpose),
  planned: async () => 'NEW_DATABASE',
  isOnServer: false,
}

/** Gives both to the work, and closes them. */
export async function inBoth<T>(
  sides: Sides,
  context: StepContext,
  purpose: string,
  work: (live: Database, fresh: Database) => Promise<T>,
): Promise<T> {
  const live = await sides.live(context, purpose)
  try {
    const fresh = await sides.fresh(context, purpose)
    return await work(live, fresh).finally(() => fresh.close())
  } finally {
    await live.close()
  }
}

/** Does the same for work that fills the new one, as long as there is room for that. */
export async function fillInBoth<T>(
  sides: Sides,
  context: StepContext,
  purpose: string,
  work: (live: Database, fresh: Database) => Promise<T>,
): Promise<T> {
  const filling = () => inBoth(sides, context, purpose, work)
  if (!sides.isOnServer) return filling()
  return whileRoom(context.toolbox, await sides.planned(context), filling, noteUnseen(context))
}
