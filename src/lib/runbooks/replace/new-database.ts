import type { PostgresConnector } from '../../backends/backend.js'
import type { DatabaseAddon, DatabaseAddons, DatabasePlan } from '../../backends/managed-database.js'
import { openThrough } from '../../backups/restore-into.js'
import { RefusedError } from '../../errors.js'
import { lacks } from '../../open-toolbox.js'
import type { Database } from '../../postgres/access.js'
import { idsGivenOut, raiseLine, raiseLow, raiseSequences } from '../../postgres/sequences.js'
import type { Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import type { Content } from './content.js'
import { type KeepOptions, noteKeptUntil } from './keep.js'
import { migratedIdsStep } from './migrate.js'
import { priceText } from './price.js'
import { mayHaveServed } from './writers.js'

/** Under this key a run notes the database of the platform's that it replaces. */
export const KEPT_ADDON = 'kept-addon'

/** Under this key a run that was taken back notes the database that it had ordered, where that may have served. */
export const SERVED_ADDON = 'served-addon'

/** Returns the facet. @throws RefusedError where the platform runs no databases. */
export function addonsOf({ backend }: Toolbox): DatabaseAddons {
  if (backend.databases) return backend.databases
  throw lacks(backend, 'databases', 'databases to be ordered', 'Leave --new-database out.')
}

/** Returns the plan that is meant by `essential-1` or the whole name. @throws RefusedError naming those that there are. */
export async function planNamed(toolbox: Toolbox, name: string): Promise<DatabasePlan> {
  const plans = await addonsOf(toolbox).plans()
  const found = plans.find(({ plan }) => plan === name || plan.split(':')[1] === name)
  if (found) return found
  throw new RefusedError({
    code: 'no-such-plan',
    message: `There is no plan ${JSON.stringify(name)} for a database.`,
    cause: `There are: ${plans.map(({ plan, price }) => `${plan.split(':')[1]} (${priceText(price)})`).join(', ')}.`,
    next: 'Name one of them: --new-database PLAN',
  })
}

/** Returns in a sentence what a second database costs. */
export async function costs(toolbox: Toolbox, name: string): Promise<string> {
  const { plan, price } = await planNamed(toolbox, name)
  const current = await currentAddon(toolbox)
  return (
    `A database of the plan ${plan} is ordered: ${priceText(price)}. ` +
    `The present one, ${current.name}, is kept and costs on (${priceText(current.price)}) until mstdn-ops db:discard.`
  )
}

async function currentAddon(toolbox: Toolbox): Promise<DatabaseAddon> {
  const found = (await addonsOf(toolbox).list()).find(({ isCurrent }) => isCurrent)
  if (found) return found
  throw new RefusedError({
    code: 'database-not-an-addon',
    message: `The database of ${toolbox.backend.title} is none that the platform runs for it.`,
    next: 'Leave --new-database out, or restore where the database runs.',
  })
}

/** Leads to the database that this run has ordered. */
export function newDatabase(context: StepContext): Promise<PostgresConnector> {
  return addonsOf(context.toolbox).connector(context.noted('new-addon') ?? '')
}

/** Orders the second database; one that a killed run has ordered is taken up. */
export function orderStep(plan: DatabasePlan, keep: KeepOptions): Step {
  return {
    id: 'order',
    title: `Order a second database (${plan.plan}, ${priceText(plan.price)})`,
    effect: 'write',
    done: async ({ noted }) => noted('new-addon') !== undefined,
    run: async context => {
      const addons = addonsOf(context.toolbox)
      await noteKeptUntil(context, keep)
      if (context.noted('known-addons') === undefined) {
        await context.note('old-addon', (await currentAddon(context.toolbox)).name)
        await context.note('known-addons', JSON.stringify((await addons.list()).map(({ name }) => name)))
      }
      const made = await addons.create(plan.plan, knownAddons(context))
      if (!context.dryRun) await context.note('new-addon', made.name)
    },
    undo: async context => {
      const name = await orderedBy(context, plan)
      if (name === undefined) return
      await (mayHaveServed(context) ? keepServed(context, name) : addonsOf(context.toolbox).destroy(name))
    },
  }
}

/** It may hold what was written since: it is kept, as a rollback would, and the operator is told. */
async function keepServed({ toolbox, note }: StepContext, name: string): Promise<void> {
  await note(KEPT_ADDON, name)
  await note(SERVED_ADDON, name)
  toolbox.output.warn(`What was written meanwhile is kept as the add-on ${name}: mstdn-ops db:discard destroys it.`)
}

/** Takes a database that is kept for the one that is to be live. */
export function adoptStep(name: string): Step {
  return {
    id: 'adopt',
    title: `Note which database is replaced by ${name}`,
    effect: 'read',
    run: async context => {
      await context.note('old-addon', (await currentAddon(context.toolbox)).name)
      await context.note('new-addon', name)
    },
  }
}

function knownAddons({ noted }: StepContext): string[] {
  return JSON.parse(noted('known-addons') ?? '[]') as string[]
}

/** Killed before its name was known, it is the one that has come since; of two nobody can tell. */
async function orderedBy(context: StepContext, { plan }: DatabasePlan): Promise<string | undefined> {
  const { toolbox, noted } = context
  if (noted('new-addon') !== undefined || noted('known-addons') === undefined) return noted('new-addon')
  const known = knownAddons(context)
  const come = (await addonsOf(toolbox).list()).filter(addon => addon.plan === plan && !known.includes(addon.name))
  const [first, ...others] = come.filter(({ state }) => state !== 'deprovisioned')
  if (others.length === 0) return first?.name
  throw new RefusedError({
    code: 'which-database',
    message: `Several databases of the plan ${plan} were ordered meanwhile: ${come.map(({ name }) => name).join(', ')}.`,
    next: 'Destroy by hand the one that is of no use.',
  })
}

/** Restores the backup into the new database while the live one serves. */
export function fillStep(content: Content): Step {
  return {
    id: 'restore',
    title: `Restore ${content.name} into the new database beside the live one`,
    effect: 'write',
    run: async context => {
      context.toolbox.ledger.command(await content.line(context, 'NEW_DATABASE'))
      if (!context.dryRun) await content.into(context, await newDatabase(context))
    },
    // It goes with the new database.
    undo: async () => undefined,
  }
}

/** Ids that the replaced database gave out are known to other servers, which would ignore them the second time. */
export function raiseNewStep(): Step {
  return {
    id: 'raise-ids',
    title: 'Let new ids begin above all that were ever given out',
    effect: 'write',
    run: context => raiseFromOld(context, raiseSequences),
    // It goes with the new database; but what that gave out while the instance served from it must not come again either.
    undo: async context => {
      if (mayHaveServed(context)) await inOldAndNew(context, (old, fresh) => raiseSequences(fresh, old))
    },
  }
}

/** What migrations have made in the new database is raised above what the old one had. */
export function raiseNewMigratedStep(): Step {
  return migratedIdsStep(context => raiseFromOld(context, async (from, to) => raiseLow(await idsGivenOut(from), to)))
}

async function raiseFromOld(context: StepContext, raise: (from: Database, to: Database) => Promise<unknown>) {
  const { toolbox } = context
  toolbox.ledger.command(`${raiseLine('OLD_DATABASE', 'NEW_DATABASE')}   # by their addresses`)
  if (!context.dryRun) await inOldAndNew(context, raise)
}

async function inOldAndNew(context: StepContext, work: (old: Database, fresh: Database) => Promise<unknown>) {
  const { toolbox } = context
  const old = await addonsOf(toolbox).connector(context.noted('old-addon') ?? '')
  const [from, to] = [
    await openThrough(toolbox, old, 'ids'),
    await openThrough(toolbox, await newDatabase(context), 'ids'),
  ]
  await work(from, to).finally(() => Promise.all([from.close(), to.close()]))
}

/** Lets the app use the new database; the replaced one stays as it is. */
export function promoteStep(): Step {
  return {
    id: 'promote',
    title: 'Let DATABASE_URL lead to the new database, and keep the replaced one',
    effect: 'write',
    done: isPromoted,
    run: async context => {
      if (context.dryRun) return
      for (const key of ['kept', KEPT_ADDON]) await context.note(key, context.noted('old-addon') ?? '')
      await promote(context, context.noted('new-addon') ?? '')
      await context.lockAgain()
    },
    undo: async context => {
      if (await isPromoted(context)) await promote(context, context.noted('old-addon') ?? '')
    },
  }
}

async function isPromoted(context: StepContext): Promise<boolean> {
  const name = context.noted('new-addon')
  return name !== undefined && (await currentAddon(context.toolbox)).name === name
}

async function promote({ toolbox }: StepContext, name: string): Promise<void> {
  await addonsOf(toolbox).promote(name)
  await toolbox.letGoOfDatabase()
}
