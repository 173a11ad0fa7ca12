import { setTimeout as sleep } from 'node:timers/promises'
import { NotUndoneError } from '../../errors.js'
import { printable } from '../../text.js'
import type { Container } from './containers.js'
import type { Stack } from './stack.js'

const LIMIT_MS = 180_000
const PAUSE_MS = 500
/** Without a health check a container counts once it has run this long. */
const STEADY_MS = 2_000
/** Restarted by the engine this often, a container is in a loop. */
const LOOPING = 3
const LOG_LINES = '15'

type Verdict = 'good' | 'wait' | 'bad'

/**
 * Returns when every container that counts runs and is healthy.
 *
 * @throws NotUndoneError naming the container that is not, with its last log lines; after 180 s, or as soon as one
 * has ended.
 */
export async function untilHealthy(
  stack: Stack,
  counts: (container: Container) => boolean,
  limitMs = LIMIT_MS,
): Promise<void> {
  const end = Date.now() + limitMs
  for (;;) {
    const containers = (await stack.containers()).filter(counts)
    const waiting = containers.filter(container => verdictOf(container, Date.now()) !== 'good')
    if (waiting.length === 0) return
    const bad = waiting.find(container => verdictOf(container, Date.now()) === 'bad')
    if (bad || Date.now() > end) throw await notHealthy(stack, bad ?? waiting[0])
    await sleep(PAUSE_MS)
  }
}

/** Returns whether the container is as it should be, may become so, or will not by itself. */
export function verdictOf(container: Container, now: number): Verdict {
  if (container.status === 'exited' || container.status === 'dead') return 'bad'
  if (container.restartCount >= LOOPING && container.health !== 'healthy') return 'bad'
  if (container.status !== 'running') return 'wait'
  if (container.health === 'healthy') return 'good'
  if (container.health !== 'none') return 'wait'
  return now - (container.startedAt?.getTime() ?? now) >= STEADY_MS ? 'good' : 'wait'
}

async function notHealthy(stack: Stack, container: Container | undefined): Promise<NotUndoneError> {
  const name = container?.name ?? 'A container'
  const state = container ? stateOf(container) : 'absent'
  const lines = container ? await lastLogLines(stack, container) : ''
  return new NotUndoneError({
    code: 'not-healthy',
    message: `${name} did not become healthy: it is ${state}.`,
    cause:
      lines === '' ? 'It printed nothing.' : `Its last lines:\n${stack.parts.output.redactor.text(printable(lines))}`,
    next: `Read more: ${stack.project.byHand(['logs', '--tail', '100', container?.service ?? ''])}`,
  })
}

function stateOf(container: Container): string {
  if (container.restartCount > 0) return `ending again and again, last with code ${container.exitCode}`
  if (container.status === 'exited') return `exited with code ${container.exitCode}`
  return container.health === 'none' ? container.status : `${container.status} (${container.health})`
}

async function lastLogLines(stack: Stack, container: Container): Promise<string> {
  const invocation = stack.project.docker(['logs', '--tail', LOG_LINES, container.name], { timeoutMs: 20_000 })
  const outcome = await stack.parts.runner.run(invocation)
  return [outcome.stdout.trim(), outcome.stderr.trim()].filter(Boolean).join('\n')
}
