import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../errors.js'
import { lockWaits, lockWaitText } from '../../postgres/lock-waits.js'
import type { StepContext } from '../../runbook/step.js'

const PAUSE_MS = 2_000

/** Does the work, and tells meanwhile what a change of a table waits for. It ends nobody's session. */
export async function tellingWaits<T>(context: StepContext, work: () => Promise<T>): Promise<T> {
  if (context.dryRun || context.toolbox.backend.postgres === undefined) return work()
  const over = new AbortController()
  const looking = look(context, over.signal)
  try {
    return await work()
  } finally {
    over.abort()
    await looking
  }
}

/** What cannot be looked at is no reason for anything: the migration goes on, and nobody asks again. */
async function look({ toolbox, progress }: StepContext, over: AbortSignal): Promise<void> {
  try {
    while (!over.aborted) {
      await sleep(PAUSE_MS, undefined, { signal: over }).catch(() => undefined)
      if (over.aborted) return
      const [wait] = await lockWaits(await toolbox.database())
      if (wait) progress(lockWaitText(wait))
    }
  } catch (error) {
    toolbox.output.debug(`Whether a migration waits for a lock cannot be seen: ${messageOf(error)}`)
  }
}
