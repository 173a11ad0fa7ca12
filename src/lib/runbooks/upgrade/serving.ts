import { ROLES } from '../../backends/backend.js'
import { appliedMigrations } from '../../mastodon/migrations.js'
import { processes as sidekiqs } from '../../redis/sidekiq.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { formerNoted } from '../replace/writers.js'
import { changeOf, type UpgradeOptions } from './options.js'

/** Under these keys an upgrade notes what a rollback of it needs. */
export const APPLIED_BEFORE = 'applied-before'
export const IMAGES = 'images'
export const WRITTEN = 'written'

/** Notes what runs, which is what is to run afterwards: what an operator has stopped stays stopped. */
export function lookStep(): Step {
  return {
    id: 'look',
    title: 'Look what runs',
    effect: 'read',
    run: async context => {
      const { toolbox, note } = context
      const list = (await toolbox.backend.processes?.list()) ?? []
      const running = list.filter(({ state }) => state !== 'stopped').map(({ role, name, id }) => ({ role, name, id }))
      await note('ran', JSON.stringify(running))
      await noteSidekiqs(context)
      // A rollback tells by them which ones the former release does not know.
      await note(APPLIED_BEFORE, [...(await appliedMigrations(toolbox))].join(' '))
    },
  }
}

/** The gate waits for others. */
async function noteSidekiqs({ toolbox, note }: StepContext): Promise<void> {
  if (toolbox.backend.redis === undefined) return
  const before = await sidekiqs(await toolbox.redis('sidekiq'))
  await note('sidekiq-before', JSON.stringify(before.map(({ identity }) => identity)))
}

/** Fetches the release before anything is stopped. */
export function fetchStep({ to }: UpgradeOptions): Step {
  return {
    id: 'fetch',
    title: `Fetch ${to}`,
    effect: 'write',
    needed: async ({ toolbox }) => !(await changeOf(toolbox).isHere(to)) || 'it is here',
    run: ({ toolbox, progress }) => changeOf(toolbox).fetch(to, progress),
    repeatable: true,
    // An image that nothing runs on harms nobody, and the next attempt needs it.
    undo: async () => undefined,
  }
}

/** Makes it the release of the next start; what runs goes on. */
export function switchStep({ to }: UpgradeOptions): Step {
  return {
    id: 'switch',
    title: `Make ${to} the release of the next start`,
    effect: 'write',
    needed: async ({ toolbox }) => (await changeOf(toolbox).parts(to)).length > 0 || 'it is that already',
    run: async context => {
      const change = changeOf(context.toolbox)
      await noteImages(context, to)
      const kept = await change.write(to, releaseKey(context))
      await context.note('kept', JSON.stringify(kept))
      const written = (await change.back?.kept(releaseKey(context))) ?? []
      await context.note(WRITTEN, JSON.stringify(written.map(({ path, digest }) => ({ path, digest }))))
    },
    undo: putFormerBack,
  }
}

/** Before they are written: a run that is gone on with finds them changed already. */
async function noteImages({ toolbox, note, noted }: StepContext, to: string): Promise<void> {
  if (noted(IMAGES) !== undefined) return
  const parts = await changeOf(toolbox).parts(to)
  await note(IMAGES, JSON.stringify(parts.map(part => ({ name: part.name, from: part.from, to: part.to }))))
}

/** Puts back what the run has kept, and forgets it. */
export async function putFormerBack(context: StepContext): Promise<void> {
  await putFilesBack(context)
  await changeOf(context.toolbox).forget(releaseKey(context))
}

/** Starts the processes anew with the new release. */
export function bringStep({ to }: Pick<UpgradeOptions, 'to'>): Step {
  return {
    id: 'bring',
    title: `Start the processes with ${to}, and wait until they are healthy`,
    effect: 'write',
    run: async context => {
      if (!context.dryRun) await noteServed(context)
      await bring(context)
    },
    // The files go back first: what is started takes what stands in them.
    undo: async context => {
      await putFilesBack(context)
      await bring(context)
    },
  }
}

/** Puts back what says which release is started; safe to repeat, and where nothing was changed. */
export function putFilesBack(context: StepContext): Promise<void> {
  return changeOf(context.toolbox).putBack(releaseKey(context))
}

/** Connections may lead through the processes that are replaced; the lock's may, too. */
export async function bring(context: StepContext): Promise<void> {
  const { toolbox, dryRun } = context
  await toolbox.letGoOfRedis()
  await toolbox.letGoOfDatabase()
  await changeOf(toolbox).bring(formerNoted(context))
  toolbox.app.forget()
  if (!dryRun) await context.lockAgain()
}

/** Stops everything of the old release, and starts it again where the run goes back. */
export function stopStep(): Step {
  return {
    id: 'stop',
    title: 'Stop web, streaming and Sidekiq',
    effect: 'write',
    run: async ({ toolbox }) => {
      await toolbox.letGoOfRedis()
      await toolbox.letGoOfDatabase()
      await toolbox.backend.processes?.stop(ROLES)
    },
    undo: async context => {
      const ran = formerNoted(context)
      const roles = ROLES.filter(role => ran.some(process => process.role === role))
      await context.toolbox.backend.processes?.start(roles, ran)
    },
  }
}

/** Notes that the new release is about to work with the data. */
export async function noteServed({ note }: Pick<StepContext, 'note'>): Promise<void> {
  await note('served', 'yes')
}

/** Whether processes of the new release were started, be it for a moment. */
export function mayHaveServed({ noted }: Pick<StepContext, 'noted'>): boolean {
  return noted('served') === 'yes'
}

/** Under this key the files of before are kept. */
export function releaseKey({ runId }: Pick<StepContext, 'runId'>): string {
  return `${runId}-release`
}
