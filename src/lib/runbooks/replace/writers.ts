import { setTimeout as sleep } from 'node:timers/promises'
import { type AppProcess, type FormerProcess, type Processes, ROLES, type Role } from '../../backends/backend.js'
import type { Database } from '../../postgres/access.js'
import { withMaintenance } from '../../postgres/scratch.js'
import { clientsOf, inUse } from '../../postgres/swap.js'
import type { Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { liveName } from './names.js'

/** Milliseconds in which connections of what was stopped come to their end. */
const FADING_MS = 10_000
/** Web first, so that nothing new comes in while Sidekiq works its queues off. */
const ORDER: readonly Role[] = ['web', 'streaming', 'sidekiq']
/** Under this key a run notes since when (ISO 8601) what it put in place may have been written into. */
const SERVED = 'served-from'
/** Under this key a run notes that it begins to let Sidekiq come to rest. */
export const QUIETED = 'quieted'

/** Stops everything that can be stopped from here, and notes what ran. */
export function stopStep(beforeSidekiq: (context: StepContext) => Promise<void>): Step {
  return {
    id: 'stop',
    title: 'Stop web and streaming, let Sidekiq finish, and stop it',
    effect: 'write',
    needed: async ({ toolbox }) => toolbox.backend.processes !== undefined || 'nothing can be stopped from here',
    done: async ({ toolbox }) => (await processesOf(toolbox.backend.processes).list()).every(isStopped),
    run: async context => {
      const processes = processesOf(context.toolbox.backend.processes)
      if (context.noted('ran') === undefined) await context.note('ran', JSON.stringify(await running(processes)))
      if (context.noted('stopped-at') === undefined) await context.note('stopped-at', String(Date.now()))
      await processes.stop(ORDER.slice(0, 2))
      await context.note(QUIETED, 'yes')
      await beforeSidekiq(context)
      await processes.stop(ORDER.slice(2))
    },
    undo: async context => {
      const stopped = wasQuieted(context)
        ? processesOf(context.toolbox.backend.processes).stop(ORDER.slice(2))
        : undefined
      await Promise.resolve(stopped).finally(() => startAgain(context))
    },
  }
}

/** Starts what ran before, and looks whether it is well. */
export function startStep(): Step {
  return {
    id: 'start',
    title: 'Start what was stopped, and wait until it is healthy',
    effect: 'write',
    needed: async ({ toolbox }) => toolbox.backend.processes !== undefined || 'nothing was stopped from here',
    run: async context => {
      await noteServed(context)
      await startAgain(context)
      await noteStoppedFor(context)
    },
    undo: async ({ toolbox }) => processesOf(toolbox.backend.processes).stop(ROLES),
  }
}

/**
 * Notes that people may write into what is live now. Before the first process is started: some of them serve long before
 * the last one is healthy, or is found not to be.
 */
export async function noteServed({ note, dryRun }: StepContext): Promise<void> {
  if (!dryRun) await note(SERVED, new Date().toISOString())
}

/** Whether the run had begun to start everything with what it put in the place of the live database. */
export function mayHaveServed({ noted }: Pick<StepContext, 'noted'>): boolean {
  return noted(SERVED) !== undefined
}

/** Whether Sidekiq may have been told to begin no new job: it takes none until it is started anew. */
export function wasQuieted({ noted }: Pick<StepContext, 'noted'>): boolean {
  return noted(QUIETED) === 'yes'
}

/** Notes for how long, in milliseconds, nothing served. */
export async function noteStoppedFor({ note, noted, dryRun }: StepContext): Promise<void> {
  const since = Number(noted('stopped-at') ?? Date.now())
  if (!dryRun) await note('stopped-for', String(Date.now() - since))
}

/** Returns what ran before it was stopped. */
export function formerNoted({ noted }: Pick<StepContext, 'noted'>): FormerProcess[] {
  return JSON.parse(noted('ran') ?? '[]') as FormerProcess[]
}

async function startAgain(context: StepContext): Promise<void> {
  const ran = formerNoted(context)
  const roles = ROLES.filter(role => ran.some(process => process.role === role))
  if (ran.length > 0 || context.dryRun) await processesOf(context.toolbox.backend.processes).start(roles, ran)
}

/** Looks who is connected all the same: a database that somebody works in is not replaced. */
export function lookStep(): Step {
  return {
    id: 'look',
    title: 'Look whether anybody else is connected to the database',
    effect: 'read',
    run: async ({ toolbox, dryRun }) => {
      if (!dryRun) await aloneInLive(toolbox)
    },
  }
}

/** Stops what runs although the run has stopped it. @throws RefusedError naming who stays connected. */
export async function stopAgain({ toolbox }: StepContext): Promise<void> {
  await stopWhatRuns(toolbox)
  await aloneInLive(toolbox)
}

/** An engine that starts again starts the processes, too; so does an operator who sees the site down. */
export async function stopWhatRuns({ backend: { processes } }: Pick<Toolbox, 'backend'>): Promise<void> {
  if (processes && !(await processes.list()).every(isStopped)) await processes.stop(ROLES)
}

async function aloneInLive(toolbox: Toolbox): Promise<void> {
  await toolbox.letGoOfDatabase()
  const live = await liveName(toolbox)
  await withMaintenance(toolbox, 'look', maintenance => untilAlone(maintenance, live))
}

/** Returns once nobody is connected to the database but this tool. @throws RefusedError naming who stays. */
export async function untilAlone(session: Database, database: string): Promise<void> {
  const deadline = Date.now() + FADING_MS
  for (;;) {
    const clients = await clientsOf(session, [database])
    if (clients.length === 0) return
    if (Date.now() > deadline) throw inUse(database, clients)
    await sleep(500)
  }
}

/** One by one: what an operator had stopped, beside others of its role, stays stopped. */
async function running(processes: Processes): Promise<FormerProcess[]> {
  const found = (await processes.list()).filter(process => !isStopped(process))
  return found.map(({ role, name, id }) => ({ role, name, id }))
}

function isStopped({ state }: AppProcess): boolean {
  return state === 'stopped'
}

function processesOf(processes: Processes | undefined): Processes {
  if (processes) return processes
  throw new Error('asked for processes where there are none')
}
