import type { Built } from '../../../../backends/release-build.js'
import { RefusedError } from '../../../../errors.js'
import type { RunRecord } from '../../../../runbook/journal.js'
import type { Step, StepContext } from '../../../../runbook/step.js'
import { stopAllStep } from '../../../replace/close.js'
import { drain } from '../../../replace/redis.js'
import { formationOf } from '../../../scale/scale.js'
import { timedCloseStep } from '../../closed.js'
import { buildOf } from '../../deploy-options.js'
import { runningStep, upgradeOf } from '../steps.js'
import type { DeployedBackOptions } from './options.js'

/** Under these keys a run notes that it has found what an abandoned upgrade left: nothing runs, visitors are sent away. */
const STOPPED = 'found-stopped'
const CLOSED = 'found-closed'
/** Under this key a run notes which code it has found in force. */
const NEWER = 'newer'

/** Notes what is to run afterwards: what ran before an upgrade that was abandoned on its way, else what runs now. */
export function lookStep({ of }: DeployedBackOptions): Step {
  const step = runningStep({ of })
  return {
    ...step,
    run: async context => {
      await step.run(context)
      const upgrade = await upgradeOf(context, of)
      if (upgrade?.end?.end === 'abandoned') await noteLeft(context, upgrade)
    },
  }
}

/** The steps that stop and start go by these notes. */
async function noteLeft({ toolbox, note }: StepContext, { notes }: RunRecord): Promise<void> {
  const sizes = notes.get('sizes')
  if (sizes !== undefined) {
    const found = await formationOf(toolbox).sizes()
    await note(STOPPED, found.every(({ quantity }) => quantity === 0) ? 'yes' : 'no')
    await note('sizes', sizes)
    await note('stopped-at', String(Date.now()))
  }
  const wasOpen = notes.get('was-closed') === 'no'
  if (!wasOpen || (await toolbox.backend.maintenance?.isOn()) !== true) return
  await note(CLOSED, 'yes')
  await note('was-closed', 'no')
}

/** Sends visitors away. Taken back, they are let in again where they were before this run. */
export function closeStep(): Step {
  return unlessFound(CLOSED, timedCloseStep())
}

/** Stops everything. Taken back, what ran before this run runs again: after an upgrade that was abandoned, nothing. */
export function stopStep({ backup, drainSeconds }: DeployedBackOptions): Step {
  const beforeSidekiq = async (context: StepContext) => {
    if (backup !== undefined && context.noted(STOPPED) !== 'yes') await drain(drainSeconds)(context)
  }
  return unlessFound(STOPPED, stopAllStep(beforeSidekiq))
}

function unlessFound(key: string, step: Step): Step {
  const undo = async (context: StepContext) => {
    if (context.noted(key) !== 'yes') await step.undo?.(context)
  }
  return { ...step, undo }
}

/** Puts the former code into force, while nothing runs: the platform takes config vars of then along for a moment. */
export function codeStep({ from, to, former }: DeployedBackOptions): Step {
  return {
    id: 'code',
    title: `Put the code of ${to} into force again (${former.label}), with the config vars of now`,
    effect: 'write',
    run: async context => {
      const { toolbox, noted, note, dryRun, runId } = context
      const build = buildOf(toolbox)
      if (noted(NEWER) === undefined) await note(NEWER, JSON.stringify(await build.inForce()))
      if (!dryRun) await build.untilOver()
      await build.goBack(former, keyOf(runId))
      toolbox.app.forget()
      if (!dryRun && (await build.inForce()).slug !== former.slug) throw notInForce(from, former)
    },
    settle: async ({ toolbox }) => {
      await buildOf(toolbox).untilOver()
      return 'not done'
    },
    undo: context => goForward(context, former),
  }
}

/** A killed run may have put the code back and not the config vars yet: those of now are what is to be kept. */
async function goForward({ toolbox, noted, runId }: StepContext, former: Built): Promise<void> {
  const newer = noted(NEWER)
  if (newer === undefined) return
  const build = buildOf(toolbox)
  await build.untilOver()
  if ((await build.inForce()).slug === former.slug) await build.goBack(former, keyOf(runId))
  await build.goBack(JSON.parse(newer) as Built, `${keyOf(runId)}-undone`)
  toolbox.app.forget()
}

function keyOf(runId: string): string {
  return `${runId}-code`
}

function notInForce(from: string, { label }: Built): RefusedError {
  return new RefusedError({
    code: 'code-not-in-force',
    message: `The code of ${label} is not in force.`,
    cause: `Somebody has deployed meanwhile, or the platform keeps to ${from}.`,
    next: 'heroku releases shows what was deployed; then run the command again.',
  })
}
