import { setTimeout as sleep } from 'node:timers/promises'
import { type AppProcess, lifeOf, type Role } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import type { StepContext } from '../../runbook/step.js'
import { plural } from '../../text.js'

/** Milliseconds that processes may take until they run with a new configuration. */
const PATIENCE_MS = 180_000
const PAUSE_MS = 1_000

/** Returns which processes of the roles run since when: another text once one of them was started anew. */
export async function processesNow(roles: readonly Role[], context: StepContext): Promise<string> {
  const processes = (await listed(context)).filter(process => roles.includes(process.role))
  return processes.map(lineOf).sort().join('\n')
}

function lineOf(process: AppProcess): string {
  return `${lifeOf(process)} ${process.state}`
}

/**
 * Returns when as many processes of the roles run as ran `before` (see {@link processesNow}), all of them started since.
 *
 * @throws RefusedError when that takes more than three minutes.
 */
export async function untilAnew(roles: readonly Role[], context: StepContext, before: string): Promise<void> {
  const { clock } = context.toolbox
  const former = before.split('\n').filter(line => line.endsWith(' running'))
  const deadline = clock.now().getTime() + PATIENCE_MS
  for (;;) {
    const left = former.length - (await startedSince(roles, context, former))
    if (left <= 0) return
    if (clock.now().getTime() > deadline) throw notAnew(left)
    context.progress(`waiting for ${plural(left, 'process', 'processes')} to start anew`)
    await sleep(PAUSE_MS)
  }
}

/** A process that still runs as before counts as none: nothing is certain until it has gone. */
async function startedSince(roles: readonly Role[], context: StepContext, former: readonly string[]): Promise<number> {
  const processes = (await listed(context)).filter(process => roles.includes(process.role))
  const isUp = ({ state, health }: AppProcess) => state === 'running' && (health === 'healthy' || health === 'none')
  if (processes.some(process => former.includes(lineOf(process)))) return 0
  return processes.filter(isUp).length
}

async function listed({ toolbox }: StepContext): Promise<AppProcess[]> {
  return (await toolbox.backend.processes?.list()) ?? []
}

function notAnew(left: number): RefusedError {
  return new RefusedError({
    code: 'not-started-anew',
    message: `${plural(left, 'process does', 'processes do')} not run with the new configuration.`,
    cause: `The platform should have started ${left === 1 ? 'it' : 'them'} anew by itself; three minutes were waited for it.`,
    next: 'mstdn-ops logs -n 100 (why it does not start)',
  })
}
