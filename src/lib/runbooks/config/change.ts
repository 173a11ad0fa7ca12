import { randomBytes } from 'node:crypto'
import type { Config, ConfigChanges, Role } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import { agree, fingerprint, pick } from '../../fingerprint.js'
import { isSecretName } from '../../mastodon/secrets.js'
import { lacks } from '../../open-toolbox.js'
import type { Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { processesNow, untilAnew } from './anew.js'
import { whatBreaks } from './guarded.js'

/** A change of the app's environment that takes effect, and can be taken back. */
export interface ConfigChange {
  /** The variables in question. */
  keys: readonly string[]
  /** In the imperative, like `Write new VAPID keys to .env.production`. */
  title(where: string): string
  /**
   * Returns what to write (null removes); asked in the writing step, so that a new secret exists nowhere before.
   *
   * @throws RefusedError when it is not to be had any more, as after a crash.
   */
  values(context: StepContext): Promise<ConfigChanges>
  /** Why there is nothing to write, when that is so. */
  unneeded?(context: StepContext): Promise<string | undefined>
  /** The processes that read them. */
  roles: readonly Role[]
  restart: boolean
}

/** Returns the configuration facet, or refuses with what to do instead. */
export function configOf(toolbox: Toolbox): Config {
  if (toolbox.backend.config) return toolbox.backend.config
  throw lacks(
    toolbox.backend,
    'config',
    "configuration of Mastodon's own",
    'Change the variables where Mastodon runs, then restart it.',
  )
}

/**
 * Returns the steps: keep the former configuration aside, write, restart, look whether the running process has it.
 * Where a write restarts the app by itself, the last step waits for that instead. After a crash at any point they go on or back from what the journal knows: salted fingerprints, no values.
 */
export function configSteps(toolbox: Toolbox, change: ConfigChange): Step[] {
  const config = configOf(toolbox)
  if (config.appliesAtOnce) {
    return [keepStep(config, change), writeStep(config, change), settledStep(config, change)]
  }
  const restarts = change.restart ? [restartStep(config, change), verifyStep(config, change)] : []
  return [keepStep(config, change), writeStep(config, change), ...restarts]
}

function keepStep(config: Config, change: ConfigChange): Step {
  return {
    id: 'keep',
    title: `Keep a copy of ${config.where}`,
    effect: 'write',
    needed: async context => (await change.unneeded?.(context)) ?? true,
    run: context => keep(config, change, context),
    undo: context => forgetCopy(config, change, context),
  }
}

async function keep(config: Config, change: ConfigChange, context: StepContext): Promise<void> {
  const former = pick(await config.stored(), change.keys)
  const salt = randomBytes(16).toString('hex')
  await context.note('former', `${salt} ${fingerprint(salt, former)}`)
  await context.note('lost', Object.entries(former).some(isLoss) ? 'yes' : 'no')
  await context.note('copyKey', context.runId)
  await context.note('kept', await config.keep(context.runId, change.keys))
}

/** A secret, or a name that others know, cannot be typed again from memory. */
function isLoss([key, value]: [string, string | null]): boolean {
  return value !== null && value !== '' && (isSecretName(key) || whatBreaks(key) !== undefined)
}

/** The copy goes only when the former values stand where they were: it may be all that is left of them. */
async function forgetCopy(config: Config, change: ConfigChange, context: StepContext): Promise<void> {
  if (context.noted('former') !== undefined && !(await holds(config, change, context, formerPrint(context)))) {
    throw new RefusedError({
      code: 'copy-still-needed',
      message: `The former values are not back in ${config.where}: their copy stays at ${context.noted('kept')}.`,
    })
  }
  await config.forget(context.runId)
}

function writeStep(config: Config, change: ConfigChange): Step {
  return {
    id: 'write',
    title: config.appliesAtOnce ? `${change.title(config.where)} (this restarts the app)` : change.title(config.where),
    effect: 'write',
    needed: async context => (await change.unneeded?.(context)) ?? true,
    done: context => holds(config, change, context, context.noted('written')),
    run: context => write(config, change, context),
    undo: context => putBack(config, change, context),
  }
}

async function write(config: Config, change: ConfigChange, context: StepContext): Promise<void> {
  const values = await change.values(context)
  for (const [key, value] of Object.entries(values)) {
    if (value !== null && isSecretName(key)) context.toolbox.output.redactor.add(key, value)
  }
  await context.note('written', fingerprint(saltOf(context), values))
  if (config.appliesAtOnce) await context.note('processes', await processesNow(change.roles, context))
  await config.write(values)
  if (context.dryRun) return
  if (!(await holds(config, change, context, context.noted('written')))) throw notStored(config, change)
}

/**
 * Puts the whole former configuration back, byte for byte, and restarts what may have been started with the new one:
 * the restart stands here, since undoing goes backwards and would otherwise start the processes before this.
 */
async function putBack(config: Config, change: ConfigChange, context: StepContext): Promise<void> {
  if (context.noted('written') === undefined) return
  if (config.appliesAtOnce) return putBackAtOnce(config, change, context)
  await config.putBack(context.runId)
  if (!(await holds(config, change, context, formerPrint(context)))) throw notPutBack(config, context)
  const before = context.noted('processes')
  if (before === undefined || before === (await processesNow(change.roles, context))) return
  context.progress('restarting with the former configuration')
  await processesOf(context).restart(change.roles)
}

/** Putting it back restarts the app by itself, unless nothing had been written. */
async function putBackAtOnce(config: Config, change: ConfigChange, context: StepContext): Promise<void> {
  const untouched = await holds(config, change, context, formerPrint(context))
  if (!untouched && !(await holds(config, change, context, context.noted('written'))))
    throw changedMeanwhile(config, change, context)
  const before = await processesNow(change.roles, context)
  await config.putBack(context.runId)
  if (!(await holds(config, change, context, formerPrint(context)))) throw notPutBack(config, context)
  if (!untouched) await untilAnew(change.roles, context, before)
}

function restartStep(config: Config, change: ConfigChange): Step {
  return {
    id: 'restart',
    title: `Restart ${change.roles.join(', ')} so that they read it`,
    effect: 'write',
    needed: context => needsRestart(config, change, context),
    run: async context => {
      if (context.noted('processes') === undefined)
        await context.note('processes', await processesNow(change.roles, context))
      await processesOf(context).restart(change.roles)
    },
    // Nothing by itself: what writes the configuration also restarts when it puts the former one back.
    undo: async () => undefined,
  }
}

async function needsRestart(config: Config, change: ConfigChange, context: StepContext): Promise<true | string> {
  const processes = context.toolbox.backend.processes
  if (processes === undefined) return 'there are no processes to restart from here'
  // A killed restart may have left nothing running.
  if (context.noted('processes') !== undefined) return true
  const running = (await processes.list()).filter(
    process => process.state !== 'stopped' && change.roles.includes(process.role),
  )
  if (running.length === 0) return 'nothing runs; it takes effect at the next start'
  if (context.noted('written') !== undefined) return true
  return agree(await config.running(), await config.stored(), change.keys) ? 'what runs has it already' : true
}

function processesOf(context: StepContext) {
  const { processes } = context.toolbox.backend
  if (processes) return processes
  throw lacks(context.toolbox.backend, 'processes', 'processes to restart')
}

function verifyStep(config: Config, change: ConfigChange): Step {
  return {
    id: 'verify',
    title: 'Look whether the running process has it',
    effect: 'read',
    needed: async context => (context.noted('processes') !== undefined ? true : 'nothing was restarted'),
    run: async context => {
      if (context.dryRun) return
      if (!agree(await config.running(), await config.stored(), change.keys)) throw notInForce(change)
    },
  }
}

/** The platform restarts the app by itself after a write. */
function settledStep(config: Config, change: ConfigChange): Step {
  return {
    id: 'settle',
    title: `Wait until ${change.roles.join(', ')} run with it`,
    effect: 'read',
    needed: async context => (context.noted('processes') !== undefined ? true : 'nothing was written'),
    run: async context => {
      if (context.dryRun) return
      await untilAnew(change.roles, context, context.noted('processes') ?? '')
      if (!agree(await config.running(), await config.stored(), change.keys)) throw notInForce(change)
    },
  }
}

/**
 * Ends a change that stands, and returns where the copy of the former configuration stays; null when it was removed
 * because nothing is lost. To be called for the result, the last thing before a run's end: until then undo needs it.
 */
export async function settleCopy(toolbox: Toolbox, noted: (key: string) => string | undefined): Promise<string | null> {
  const key = noted('copyKey')
  if (key === undefined) return null
  if (noted('lost') === 'yes') return noted('kept') ?? null
  try {
    await configOf(toolbox).forget(key)
    return null
  } catch {
    return noted('kept') ?? null
  }
}

/** Whether the next start would see what this fingerprint was taken of. */
async function holds(config: Config, change: ConfigChange, context: StepContext, print?: string): Promise<boolean> {
  return print !== undefined && fingerprint(saltOf(context), pick(await config.stored(), change.keys)) === print
}

function saltOf(context: StepContext): string {
  return context.noted('former')?.split(' ')[0] ?? ''
}

function formerPrint(context: StepContext): string | undefined {
  return context.noted('former')?.split(' ')[1]
}

function notStored(config: Config, change: ConfigChange): RefusedError {
  return new RefusedError({
    code: 'variable-overridden',
    message: `${change.keys.join(', ')} would not take effect from ${config.where}.`,
    cause: 'It was written, but the next start would still see another value: something else sets it too.',
    next: config.appliesAtOnce
      ? 'See whether somebody else changes it at the same time, then run the command again.'
      : 'Look for it under environment: in the compose file and in later env files.',
  })
}

/** What somebody else has set since is not ours to take back. */
function changedMeanwhile(config: Config, change: ConfigChange, context: StepContext): RefusedError {
  return new RefusedError({
    code: 'changed-meanwhile',
    message: `${change.keys.join(', ')} in ${config.where} was changed by somebody else since.`,
    cause: `It holds neither the value of this run nor the former one, which is kept in ${context.noted('kept')}.`,
    next: 'Set what is right with mstdn-ops config:set, after mstdn-ops resume --abandon.',
  })
}

function notPutBack(config: Config, context: StepContext): RefusedError {
  return new RefusedError({
    code: 'not-put-back',
    message: `${config.where} does not hold the former values.`,
    cause: `The copy of the former configuration is ${context.noted('kept')}.`,
    next: config.appliesAtOnce
      ? 'mstdn-ops resume --undo (tries once more)'
      : `Copy ${context.noted('kept')} over ${config.where}, then: mstdn-ops resume --undo`,
  })
}

function notInForce(change: ConfigChange): RefusedError {
  return new RefusedError({
    code: 'not-in-force',
    message: `The running process does not have the new ${change.keys.join(', ')}.`,
    cause: 'It was restarted and still sees another value.',
  })
}
