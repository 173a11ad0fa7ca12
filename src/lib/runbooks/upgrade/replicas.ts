import { messageOf } from '../../errors.js'
import { type Replica, replicasOf } from '../../postgres/replicas.js'
import type { Step, StepContext } from '../../runbook/step.js'

const MEGABYTE = 1e6

/** How far the replicas were behind before a step that migrates, and when it had ended. */
export interface ReplicaLag {
  step: string
  before: Replica[]
  after: Replica[]
}

/** Returns the step with a look at the replicas before and after it. What cannot be looked at harms nothing. */
export function withReplicas(step: Step): Step {
  const run = async (context: StepContext) => {
    const before = await seen(context)
    await step.run(context)
    const after = await seen(context)
    if (before.length + after.length > 0) await noteLag(context, { step: step.id, before, after })
  }
  return { ...step, run }
}

/** Returns what a run has noted; nothing where there are no replicas. */
export function replicaLag(noted: StepContext['noted']): ReplicaLag[] {
  return JSON.parse(noted(NOTE) ?? '[]') as ReplicaLag[]
}

const NOTE = 'replicas'

/** In the report of a run, a line for each replica. */
export function replicaText(lags: readonly ReplicaLag[]): string[] {
  return lags.flatMap(({ step, before, after }) =>
    after.map(replica => {
      const then = before.find(({ name }) => name === replica.name)
      const former = then === undefined ? 'not connected' : behind(then)
      return `The replica ${replica.name} was behind by ${behind(replica)} after ${step} (before: ${former}).`
    }),
  )
}

function behind({ bytes, seconds }: Replica): string {
  if (bytes === null) return 'what this user may not see'
  return `${(bytes / MEGABYTE).toFixed(1)} MB${seconds === null ? '' : `, ${seconds.toFixed(1)} s`}`
}

async function seen({ toolbox, dryRun }: StepContext): Promise<Replica[]> {
  if (dryRun) return []
  try {
    return await replicasOf(await toolbox.database())
  } catch (error) {
    toolbox.output.debug(messageOf(error))
    return []
  }
}

async function noteLag({ note, noted }: StepContext, lag: ReplicaLag): Promise<void> {
  const others = replicaLag(noted).filter(({ step }) => step !== lag.step)
  await note(NOTE, JSON.stringify([...others, lag]))
}
