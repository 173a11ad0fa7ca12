import { type AppProcess, lifeOf, type Processes, ROLES, type Role } from '../../backends/backend.js'
import { messageOf, NotUndoneError, RefusedError } from '../../errors.js'
import { lacks } from '../../open-toolbox.js'
import type { Runbook, Settled, Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'

export interface RestartOptions {
  /** Empty means every role that this instance has. */
  roles: Role[]
}

export interface RestartedProcess {
  name: string
  role: Role
  health: AppProcess['health']
}

export interface RestartResult {
  processes: RestartedProcess[]
}

/** Starts the app's processes anew with the configuration as it is stored now, and looks whether they are well. */
export const restart: Runbook<RestartOptions, RestartResult> = {
  name: 'restart',
  check: async (toolbox, options) => {
    await rolesHere(toolbox, options)
  },
  steps: async (toolbox, options) => {
    const roles = await rolesHere(toolbox, options)
    return [restartStep(roles)]
  },
  result: async (_toolbox, _options, noted) => ({
    processes: JSON.parse(noted('restarted') ?? '[]') as RestartedProcess[],
  }),
}

function restartStep(roles: readonly Role[]): Step {
  return {
    id: 'restart',
    title: `Restart ${roles.join(', ')}`,
    effect: 'write',
    repeatable: true,
    // What is refused was refused before anything was restarted; what comes later is no refusal any more.
    atomic: true,
    run: context => restartRoles(context, roles),
    settle: context => settle(context, roles),
  }
}

async function rolesHere(toolbox: Toolbox, { roles }: RestartOptions): Promise<Role[]> {
  const here = new Set((await processesOf(toolbox).list()).map(process => process.role))
  const missing = roles.find(role => !here.has(role))
  if (missing !== undefined || here.size === 0) throw noSuchRole(missing, [...here])
  return ROLES.filter(role => (roles.length === 0 ? here.has(role) : roles.includes(role)))
}

function processesOf(toolbox: Toolbox): Processes {
  if (toolbox.backend.processes) return toolbox.backend.processes
  throw lacks(toolbox.backend, 'processes', 'processes to restart', 'Restart them where they run.')
}

async function restartRoles(context: StepContext, roles: readonly Role[]): Promise<void> {
  const processes = processesOf(context.toolbox)
  if (context.noted('before') === undefined) {
    const list = await processes.list()
    await context.note('idle', JSON.stringify(list.filter(isStopped).map(lifeOf)))
    await context.note('before', JSON.stringify(list.map(lifeOf)))
  }
  await processes.restart(roles)
  if (!context.dryRun) await noteRestarted(context, roles)
}

/**
 * What stood still before, and is not started by a restart here, is left out.
 *
 * @throws RefusedError when a process was not started anew; NotUndoneError when it is not well, or cannot be looked at.
 */
async function noteRestarted(context: StepContext, roles: readonly Role[]): Promise<void> {
  const idle = JSON.parse(context.noted('idle') ?? '[]') as string[]
  const listed = await ofRoles(context, roles).catch((error: unknown) => {
    throw notSeen(error)
  })
  const after = listed.filter(process => !(isStopped(process) && idle.includes(lifeOf(process))))
  if (after.length === 0) throw nothingRuns(roles)
  const former = formerly(context)
  await context.note('restarted', JSON.stringify(after.map(process => verified(process, former))))
}

async function settle(context: StepContext, roles: readonly Role[]): Promise<Settled> {
  const after = await ofRoles(context, roles)
  if (after.length > 0 && after.every(process => isAmong(process, formerly(context)))) return 'not done'
  await noteRestarted(context, roles)
  return 'done'
}

async function ofRoles(context: StepContext, roles: readonly Role[]): Promise<AppProcess[]> {
  return (await processesOf(context.toolbox).list()).filter(process => roles.includes(process.role))
}

function formerly(context: StepContext): string[] {
  return JSON.parse(context.noted('before') ?? '[]') as string[]
}

/** Returns the process. @throws RefusedError when it was not started anew; NotUndoneError when it is not well. */
function verified(process: AppProcess, former: readonly string[]): RestartedProcess {
  const { name, role, state, health } = process
  if (state !== 'running' || health === 'unhealthy') throw unwell(process)
  if (isAmong(process, former)) throw untouched(name)
  return { name, role, health }
}

function isStopped({ state }: AppProcess): boolean {
  return state === 'stopped'
}

function isAmong(process: AppProcess, former: readonly string[]): boolean {
  return former.includes(lifeOf(process))
}

function unwell({ name, role, state, health }: AppProcess): NotUndoneError {
  return new NotUndoneError({
    code: 'process-unwell',
    message: `${name} is ${state === 'running' ? health : state} after its restart.`,
    next: `mstdn-ops logs --role ${role} -n 50`,
  })
}

function notSeen(error: unknown): NotUndoneError {
  return new NotUndoneError({
    code: 'restart-not-seen',
    message: 'Whether the processes run after their restart could not be seen.',
    cause: messageOf(error),
    next: 'mstdn-ops status',
  })
}

function nothingRuns(roles: readonly Role[]): RefusedError {
  return new RefusedError({
    code: 'nothing-runs',
    message: `Nothing of ${roles.join(', ')} runs: there is nothing to restart.`,
    next: 'mstdn-ops scale (how many there are to be)',
  })
}

function untouched(name: string): RefusedError {
  return new RefusedError({
    code: 'not-restarted',
    message: `${name} runs as before: it was not restarted.`,
    next: 'mstdn-ops restart (once more), or see mstdn-ops status',
  })
}

function noSuchRole(role: Role | undefined, here: readonly Role[]): RefusedError {
  return new RefusedError({
    code: 'no-such-role',
    message: role === undefined ? 'There are no Mastodon processes here.' : `There is no ${role} process here.`,
    cause: here.length > 0 ? `There are: ${here.join(', ')}.` : 'Neither running nor stopped.',
    next: 'Name the services under roles in mstdn-ops.yaml, or start them first.',
  })
}
