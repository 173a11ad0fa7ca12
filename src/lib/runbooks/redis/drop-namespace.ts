import { ROLES } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import { lacks } from '../../open-toolbox.js'
import { countBare, dropBareLocks, type Prefixes, renameOwned } from '../../redis/namespace.js'
import { unlinkOwned } from '../../redis/owned.js'
import type { Consent, Runbook, Step, StepContext } from '../../runbook/step.js'
import { plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { type ConfigChange, configOf, configSteps, settleCopy } from '../config/change.js'
import { closeStep, openStep, startAllStep, stopAllStep } from '../replace/close.js'
import { drain, eachRedis } from '../replace/redis.js'
import { formerNoted, noteStoppedFor, startStep, stopStep, stopWhatRuns } from '../replace/writers.js'

const NAMESPACE = 'REDIS_NAMESPACE'
/** Up to 4.3 the names of the search indexes begin with the namespace where this is not set. */
const SEARCH = 'ES_PREFIX'
/** Under this key the run notes that it begins to start the processes with other variables. */
const ANEW = 'anew'

export interface DropOptions {
  /** As REDIS_NAMESPACE has it; empty where it is not set. */
  namespace: string
  drainSeconds: number
}

export interface DropResult {
  namespace: string
  keys: number
  /** Milliseconds for which nothing served; null where nothing was stopped. */
  stoppedFor: number | null
  where: string
  /** Whether the search indexes keep their names by a variable of their own. */
  searchPrefix: boolean
}

/**
 * Gives the keys of Mastodon in Redis names without the namespace and takes the variable out, while nothing of the app
 * runs: from 4.4.0 on Mastodon does not start with it. Jobs, feeds and statistics stay.
 */
export const dropNamespace: Runbook<DropOptions, DropResult> = {
  name: 'redis:drop-namespace',
  check: refuse,
  consent: async (_toolbox, { namespace }) => consentOf(namespace),
  steps: async (toolbox, options) => (options.namespace === '' ? [] : stepsOf(toolbox, options)),
  result: async (toolbox, { namespace }, noted) => {
    await settleCopy(toolbox, noted)
    return {
      namespace,
      keys: Number(noted('keys') ?? 0),
      stoppedFor: noted('stopped-for') === undefined ? null : Number(noted('stopped-for')),
      where: configOf(toolbox).where,
      searchPrefix: noted('search') === 'yes',
    }
  },
}

/** Returns the namespace that the next start would have; empty where there is none. */
export async function namespaceOf(toolbox: Toolbox): Promise<string> {
  return (await configOf(toolbox).stored()).get(NAMESPACE) ?? ''
}

function consentOf(namespace: string): Consent {
  if (namespace === '') return { kind: 'none' }
  return { kind: 'yes', question: 'Nothing serves while the keys get their new names. Go on?' }
}

async function refuse(toolbox: Toolbox, { namespace }: DropOptions): Promise<void> {
  if (namespace === '') return
  if (toolbox.backend.redis === undefined) throw lacks(toolbox.backend, 'redis', 'Redis')
  await configOf(toolbox).writable()
  await toolbox.backend.processes?.mayRestart?.(ROLES)
  const bare = new Map<string, number>()
  await eachRedis(toolbox, async (redis, ownership) => {
    for (const [kind, count] of await countBare(redis, ownership, `${namespace}:`)) {
      bare.set(kind, (bare.get(kind) ?? 0) + count)
    }
  })
  if (bare.size > 0) throw notAlone(bare)
}

function notAlone(bare: ReadonlyMap<string, number>): RefusedError {
  const found = [...bare].map(([kind, count]) => `${kind}: ${count}`).join(', ')
  return new RefusedError({
    code: 'redis-shared',
    message: 'Keys as Mastodon writes them stand in this Redis without a namespace already: nothing was changed.',
    cause: `There are ${found}. They may be another Mastodon's, whose jobs would become one with those of this one.`,
    next: 'Give this instance a Redis database of its own (REDIS_DB, or another server); or, where those keys are left over from before the namespace was set, remove them.',
  })
}

function stepsOf(toolbox: Toolbox, options: DropOptions): Step[] {
  const prefixes = { from: `${options.namespace}:`, to: '' }
  const config = configSteps(toolbox, variableChange(toolbox, options))
  const work = [renameStep(prefixes), ...config, renameRestStep(prefixes)]
  const rest = forgetRestStep(prefixes)
  const quiet = drain(options.drainSeconds)
  if (toolbox.backend.processes?.formation === undefined) {
    const stop = stopStep(quiet)
    const start = async (context: StepContext) => {
      if (!context.dryRun) await context.note(ANEW, 'yes')
      await startAnew(context)
      if (!context.dryRun) await refuseStillSet(context)
    }
    // What was started anew has the variables of that moment: started again it would keep them.
    const undo = async (context: StepContext) =>
      context.noted(ANEW) === 'yes' ? startAnew(context) : stop.undo?.(context)
    return [{ ...stop, undo }, ...work, { ...startStep(), run: start }, rest]
  }
  return [closeStep(), stopAllStep(quiet), ...work, startAllStep(), openStep(), rest]
}

async function startAnew(context: StepContext): Promise<void> {
  const former = formerNoted(context)
  const roles = ROLES.filter(role => former.some(process => process.role === role))
  if (roles.length > 0) await context.toolbox.backend.processes?.restart(roles, former)
  await noteStoppedFor(context)
}

/** A process that kept its variables would write under the namespace, where nobody reads. */
async function refuseStillSet({ toolbox }: StepContext): Promise<void> {
  if (!(await configOf(toolbox).running()).get(NAMESPACE)) return
  throw new RefusedError({
    code: 'namespace-still-set',
    message: `What was started still has ${NAMESPACE}.`,
    cause: `It was taken out of ${configOf(toolbox).where}; something else sets it.`,
    next: `Look for ${NAMESPACE} under environment: in the compose file and in later env files, then run the command again.`,
  })
}

function renameStep(prefixes: Prefixes): Step {
  return {
    id: 'rename',
    title: `Give the keys of ${prefixes.from.slice(0, -1)} in Redis names without it`,
    effect: 'write',
    done: async () => false,
    run: context => renameAll(context, prefixes),
    undo: async context => {
      await renameAll(context, { from: prefixes.to, to: prefixes.from })
      // There were none before, as the check has seen.
      await eachRedis(context.toolbox, async redis => void (await dropBareLocks(redis)))
    },
  }
}

/** An engine that starts again starts the processes, too, and they write under the namespace until they are seen. */
function renameRestStep(prefixes: Prefixes): Step {
  return {
    id: 'rename-rest',
    title: 'Look whether something was written under the namespace meanwhile',
    effect: 'write',
    repeatable: true,
    done: async () => false,
    run: context => renameAll(context, prefixes),
    undo: async () => undefined,
  }
}

async function renameAll(context: StepContext, prefixes: Prefixes): Promise<void> {
  const { toolbox, progress, note, noted } = context
  await stillStopped(context)
  let sum = Number(noted('keys') ?? 0)
  await eachRedis(toolbox, async (redis, ownership) => {
    sum += await renameOwned(redis, ownership, prefixes, count => progress(plural(sum + count, 'key')))
  })
  if (prefixes.to === '') await note('keys', String(sum))
}

/** Where a platform counts processes, one of a type of the operator's own may write, too. */
async function stillStopped({ toolbox, dryRun }: StepContext): Promise<void> {
  if (dryRun) return
  const formation = toolbox.backend.processes?.formation
  if (formation === undefined) return stopWhatRuns(toolbox)
  const running = (await formation.sizes()).filter(({ quantity }) => quantity > 0)
  if (running.length > 0) await formation.scale(running.map(({ name }) => ({ name, quantity: 0 })))
}

function variableChange(toolbox: Toolbox, { namespace }: DropOptions): ConfigChange {
  return {
    keys: [NAMESPACE, SEARCH],
    title: where => `Take ${NAMESPACE} out of ${where}`,
    values: async ({ note }) => {
      const stored = await configOf(toolbox).stored()
      const searches = stored.get('ES_ENABLED') === 'true' && !stored.get(SEARCH)
      if (searches) await note('search', 'yes')
      return { [NAMESPACE]: null, [SEARCH]: searches ? namespace : (stored.get(SEARCH) ?? null) }
    },
    roles: ROLES,
    restart: false,
  }
}

/** The cache fills by itself; a lock holds whole names inside, and a job that is still to come takes a new one. */
function forgetRestStep({ from }: Prefixes): Step {
  return {
    id: 'forget-rest',
    title: 'Remove the cache and the locks of unique jobs that are left under the namespace',
    effect: 'write',
    repeatable: true,
    run: ({ toolbox }) =>
      eachRedis(toolbox, async (redis, ownership) => {
        await unlinkOwned(redis, { ...ownership, prefix: from }, ['sidekiq', 'cache'])
      }),
  }
}
