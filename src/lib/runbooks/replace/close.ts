import type { Formation, ProcessSize } from '../../backends/backend.js'
import { NotUndoneError } from '../../errors.js'
import type { Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { formationOf } from '../scale/scale.js'
import { noteServed, noteStoppedFor, QUIETED, untilAlone, wasQuieted } from './writers.js'

type Size = Pick<ProcessSize, 'name' | 'quantity'>

/** Under this key a run notes `yes` before it empties the live database, and `no` once that is what it was before. */
export const BROKEN = 'broken'

/** Under this key a run notes since when (ISO 8601) visitors are let in to what it put in place. */
const OPENED = 'opened'

/** Shows visitors the maintenance page, for nothing answers them until it is taken away. */
export function closeStep(): Step {
  return {
    id: 'close',
    title: 'Turn the maintenance mode on',
    effect: 'write',
    needed: async ({ toolbox }) => toolbox.backend.maintenance !== undefined || 'there is no maintenance mode here',
    run: async context => {
      const { maintenance } = context.toolbox.backend
      if (context.noted('was-closed') === undefined) await noteClosed(context)
      await maintenance?.set(true)
    },
    undo: async context => {
      refuseWhileBroken(context)
      await openAgain(context)
    },
  }
}

/**
 * Lets visitors in again, where they were let in before. From then on the run is not taken back: with the database that it
 * has put in place would go what people write, which the way back can only throw away or leave behind.
 */
export function openStep(): Step {
  return {
    id: 'open',
    title: 'Turn the maintenance mode off',
    effect: 'write',
    needed: async ({ toolbox, noted }) => {
      if (toolbox.backend.maintenance === undefined) return 'there is no maintenance mode here'
      return noted('was-closed') === 'yes' ? 'it was on before' : true
    },
    run: async context => {
      await openAgain(context)
      if (!context.dryRun) await context.note(OPENED, new Date().toISOString())
    },
    inUse: async context =>
      (await isOpen(context)) ? 'The instance is open again, and people write into it.' : undefined,
    undo: async ({ toolbox }) => toolbox.backend.maintenance?.set(true),
  }
}

async function isOpen({ toolbox, noted }: StepContext): Promise<boolean> {
  return noted(OPENED) !== undefined || (await toolbox.backend.maintenance?.isOn()) === false
}

async function noteClosed({ toolbox, note }: StepContext): Promise<void> {
  await note('was-closed', (await toolbox.backend.maintenance?.isOn()) === true ? 'yes' : 'no')
}

async function openAgain({ toolbox, noted, dryRun }: StepContext): Promise<void> {
  const { maintenance } = toolbox.backend
  const isClosed = dryRun || (await maintenance?.isOn()) === true
  if (noted('was-closed') === 'no' && isClosed) await maintenance?.set(false)
}

/** Runs nothing of the app any more, of whatever type; how many there were is noted. */
export function stopAllStep(beforeSidekiq: (context: StepContext) => Promise<void>): Step {
  return {
    id: 'stop',
    title: 'Scale every process type to 0: web first, Sidekiq when it has finished',
    effect: 'write',
    done: async ({ toolbox }) => (await formationOf(toolbox).sizes()).every(({ quantity }) => quantity === 0),
    run: async context => {
      await noteSizes(context, formationOf(context.toolbox))
      const [sidekiq, others] = await parted(context.toolbox, notedSizes(context))
      await scale(context, others.map(none))
      await context.note(QUIETED, 'yes')
      await beforeSidekiq(context)
      await scale(context, sidekiq.map(none))
    },
    undo: async context => {
      refuseWhileBroken(context)
      await endQuieted(context).finally(() => startAgain(context))
    },
  }
}

/** Ends the processes of Sidekiq that would take no job any more. */
async function endQuieted(context: StepContext): Promise<void> {
  if (!wasQuieted(context)) return
  const [sidekiq] = await parted(context.toolbox, notedSizes(context))
  await scale(context, sidekiq.map(none))
}

/** Runs as many of each type as before. */
export function startAllStep(): Step {
  return {
    id: 'start',
    title: 'Scale every process type to what it was, and wait until all are up',
    effect: 'write',
    run: async context => {
      await noteServed(context)
      await startAgain(context)
      await noteStoppedFor(context)
    },
    undo: async context => scale(context, notedSizes(context).map(none)),
  }
}

/** Looks who is connected all the same: one-off processes, or programs of somebody else's. */
export function lookHereStep(): Step {
  return {
    id: 'look',
    title: 'Look whether anybody else is connected to the database',
    effect: 'read',
    run: async ({ toolbox, dryRun }) => {
      if (dryRun) return
      const database = await toolbox.database()
      await untilAlone(database, database.name)
    },
  }
}

async function noteSizes(context: StepContext, formation: Formation): Promise<void> {
  if (context.noted('sizes') !== undefined) return
  const sizes = (await formation.sizes()).filter(({ quantity }) => quantity > 0)
  await context.note('sizes', JSON.stringify(sizes.map(({ name, quantity }) => ({ name, quantity }))))
  await context.note('stopped-at', String(Date.now()))
}

function notedSizes({ noted }: StepContext): Size[] {
  return JSON.parse(noted('sizes') ?? '[]') as Size[]
}

async function parted({ backend }: Toolbox, sizes: readonly Size[]): Promise<[Size[], Size[]]> {
  const processes = (await backend.processes?.list()) ?? []
  const names = processes.filter(({ role }) => role === 'sidekiq').map(({ name }) => name)
  const isSidekiq = ({ name }: Size) => names.includes(name)
  return [sizes.filter(isSidekiq), sizes.filter(size => !isSidekiq(size))]
}

const none = ({ name }: Size): Size => ({ name, quantity: 0 })

async function startAgain(context: StepContext): Promise<void> {
  await scale(context, notedSizes(context))
}

/** Sends nothing where it is so already. */
async function scale({ toolbox, dryRun }: StepContext, wanted: readonly Size[]): Promise<void> {
  const formation = formationOf(toolbox)
  const now = new Map((await formation.sizes()).map(({ name, quantity }) => [name, quantity]))
  const others = wanted.filter(({ name, quantity }) => dryRun || now.get(name) !== quantity)
  if (others.length > 0) await formation.scale(others)
}

/** Mastodon would answer other servers that accounts and posts are gone, which they would believe. */
function refuseWhileBroken({ noted }: StepContext): void {
  if (noted(BROKEN) !== 'yes') return
  throw new NotUndoneError({
    code: 'database-broken',
    message: 'The instance stays closed: its database is not whole.',
    next: 'mstdn-ops resume --undo (puts the safety backup back)',
  })
}
