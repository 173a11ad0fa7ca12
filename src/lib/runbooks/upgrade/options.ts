import type { ReleaseChange } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import type { Need } from '../../mastodon/upgrade/needs/need.js'
import type { UpgradePlan, UpgradeStep } from '../../mastodon/upgrade/plan.js'
import { lacks } from '../../open-toolbox.js'
import { plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import type { ReplicaLag } from './replicas.js'

export interface UpgradeOptions {
  /** The installed version when the run was begun, for it is another one when the run is gone on with. */
  from: string
  to: string
  /** `two`: the old release serves while the first migrations run. `single`: everything stands still meanwhile. */
  phases: 'two' | 'single'
  /** Whether the old release can serve once the migrations before the post-deployment ones were run. */
  coexist: boolean
  backup: boolean
  /** What the plan leaves to the operator. */
  leftToDo?: string[]
}

export interface UpgradeResult {
  from: string
  to: string
  phases: 'two' | 'single'
  /** Null where nothing could look. */
  downtime: Downtime | null
  /** Milliseconds of each step. */
  took: Record<string, number>
  /** The folder of the backup that was made before. */
  backup: string | null
  /** How many migrations this run applied. */
  applied: number
  /** How far replicas were behind around the migrations; none where there are no replicas. */
  replicas: ReplicaLag[]
  /** The project's files as they were before. */
  kept: string[]
  leftToDo: string[]
}

/** As seen by asking for the health page again and again. */
export interface Downtime {
  milliseconds: number
  /** How often it began. */
  outages: number
  /** False where the run was broken off and gone on with, so that nobody looked in between. */
  whole: boolean
}

/** What the operator said. */
export interface Said {
  singlePhase: boolean
  backup: boolean
}

/**
 * Returns the options of the run that carries out the plan.
 *
 * @throws RefusedError where another release has to be deployed on the way, for that is a run of its own.
 */
export function optionsOf(toolbox: Toolbox, plan: UpgradePlan, { singlePhase, backup }: Said): UpgradeOptions {
  changeOf(toolbox)
  const { step, leftToDo } = onlyStep(plan)
  const coexist = step.phases.mode !== 'single'
  const phases = coexist && !singlePhase ? 'two' : 'single'
  return { from: step.from, to: step.to, phases, coexist, backup, leftToDo }
}

/**
 * Returns the one release that is to be deployed, and what is left to the operator.
 *
 * @throws RefusedError where there are several, or a queue would have no listener.
 */
export function onlyStep(plan: UpgradePlan): { step: UpgradeStep; leftToDo: string[] } {
  const [step, ...others] = plan.steps
  if (step === undefined || others.length > 0) throw oneByOne(plan)
  const unmet = plan.needs.filter(({ when, met }) => when === 'switch' && met === false)
  const unheard = unmet.find(({ id }) => id === 'queues')
  if (unheard) throw notHeard(unheard, plan)
  // The images are the upgrade's own work.
  return { step, leftToDo: unmet.filter(({ id }) => !id.startsWith('image ')).flatMap(({ commands }) => commands) }
}

/** The new release would be found not to work, after all that was done. */
function notHeard({ found, commands }: Need, { to }: UpgradePlan): RefusedError {
  return new RefusedError({
    code: 'queues-unheard',
    message: `Not every queue of ${to} would have a listener.`,
    cause: found ?? 'Sidekiq names its queues in its command.',
    next: `${commands.join('\n')}; it takes effect when the processes are started anew.`,
  })
}

function oneByOne({ from, to, steps }: UpgradePlan): RefusedError {
  const [first] = steps
  return new RefusedError({
    code: 'releases-on-the-way',
    message: `On the way from ${from} to ${to} ${plural(steps.length, 'release has', 'releases have')} to be deployed, one after the other.`,
    cause: steps.map(step => `${step.to}: ${step.why ?? 'the target'}`).join('\n'),
    next: `mstdn-ops upgrade --to ${first?.to ?? to}, and when that works: mstdn-ops upgrade --to ${to}`,
  })
}

export function nothingToDo({ from, to }: Pick<UpgradeOptions, 'from' | 'to'>): boolean {
  return from === to
}

/** Returns what changes releases here, or refuses with what to do instead. */
export function changeOf({ backend }: Pick<Toolbox, 'backend'>): ReleaseChange {
  if (backend.releases?.change && backend.processes && backend.oneOff) return backend.releases.change
  throw lacks(backend, 'releases', 'releases that are changed from here', 'Deploy the new release where it is built.')
}
