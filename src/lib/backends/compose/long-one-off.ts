import { OutcomeUnknownError, RefusedError } from '../../errors.js'
import type { Invocation } from '../../runner.js'
import type { AppCommand, AppOutcome } from '../backend.js'
import { firstLine } from '../complaints.js'
import type { Container } from './containers.js'
import { followToEnd } from './follow.js'
import { envFlags } from './one-off.js'
import type { ComposeProject } from './project.js'
import type { Stack } from './stack.js'

export const KEY_LABEL = 'mstdn-ops.key'
const OVER = ['exited', 'dead']
/** SIGKILL, as by the engine or for want of memory; SIGTERM; what an engine tells that was itself killed meanwhile. */
const KILLED = [137, 143, 255]

/**
 * Runs work that outlives this process: in a detached container that carries the key, followed to its end.
 *
 * A container that carries the key already was started before this process was killed: it is followed instead of
 * starting a second one, unless it was killed as well, which tells nothing of the work. The container's own exit code is
 * the truth, and the container goes once that was read.
 *
 * @throws RefusedError when it could not be started; OutcomeUnknownError when the engine went away meanwhile.
 */
export async function runLong(
  stack: Stack,
  { project, service }: { project: ComposeProject; service: string },
  command: AppCommand,
  key: string,
  byHand: string,
): Promise<AppOutcome> {
  const invocation = startInvocation(project, service, command, key)
  const planned = async () => stack.parts.runner.run({ ...invocation, byHand })
  if (stack.parts.runner.dryRun && invocation.effect === 'write') return planned()
  const container = (await begun(stack, key)) ?? (await started(stack, { ...invocation, byHand }, key))
  if (container.status === 'created') await startAgain(stack, container)
  const said = await untilOver(stack, container, command)
  const over = await overContainer(stack, key)
  await removed(stack, over)
  return { ...said, exitCode: over.exitCode, planned: false }
}

/** Returns once the container of the key, where there is one, has ended and is gone. */
export async function untilLongOver(stack: Stack, key: string): Promise<void> {
  const container = await withKey(stack, key)
  if (container === undefined) return
  if (!OVER.includes(container.status) && container.status !== 'created') await waited(stack, container)
  await removed(stack, container)
}

/** Without `--rm`, so that the exit code can be read after this process was killed. */
export function startInvocation(
  project: ComposeProject,
  service: string,
  command: AppCommand,
  key: string,
): Invocation {
  const label = ['--label', `${KEY_LABEL}=${key}`]
  const args = ['run', '-d', '-T', '--no-deps', ...label, ...envFlags(command), service, ...command.argv]
  return project.compose(args, { effect: command.effect })
}

async function withKey(stack: Stack, key: string): Promise<Container | undefined> {
  const labels = [`com.docker.compose.project=${stack.project.name}`, `${KEY_LABEL}=${key}`]
  return (await stack.withLabels(labels))[0]
}

async function begun(stack: Stack, key: string): Promise<Container | undefined> {
  const container = await withKey(stack, key)
  if (container === undefined || !wasKilled(container)) return container
  await removed(stack, container)
  return undefined
}

function wasKilled({ status, exitCode }: Container): boolean {
  return OVER.includes(status) && KILLED.includes(exitCode)
}

async function started(stack: Stack, invocation: Invocation, key: string): Promise<Container> {
  const outcome = await stack.parts.runner.run(invocation)
  const container = await withKey(stack, key)
  if (container && container.status !== 'created') return container
  if (container) await removed(stack, container)
  throw new RefusedError({
    code: 'one-off-not-started',
    message: `A container for ${invocation.args.at(-1) ?? 'the command'} could not be started.`,
    cause: firstLine(outcome),
    next: 'See whether the image is there and the service is sound: docker compose config, docker images',
  })
}

/** Killed between its creation and its start: it has done nothing yet. */
async function startAgain(stack: Stack, container: Container): Promise<void> {
  const outcome = await stack.parts.runner.run(stack.project.docker(['start', container.id]))
  if (outcome.exitCode === 0) return
  await removed(stack, container)
  throw new RefusedError({
    code: 'one-off-not-started',
    message: `The container ${container.name} could not be started.`,
    cause: firstLine(outcome),
  })
}

async function untilOver(
  stack: Stack,
  container: Container,
  command: AppCommand,
): Promise<{ stdout: string; stderr: string }> {
  return followToEnd(stack, container, { onLine: command.onLine, whenOver: () => waited(stack, container) })
}

async function waited(stack: Stack, container: Container): Promise<void> {
  const wait = await stack.parts.runner.run(stack.project.docker(['wait', container.id]))
  if (wait.exitCode !== 0) throw lost(container, firstLine(wait))
}

async function overContainer(stack: Stack, key: string): Promise<Container> {
  const container = await withKey(stack, key)
  if (container && OVER.includes(container.status)) return container
  throw new OutcomeUnknownError({
    code: 'end-not-seen',
    message: 'The end of the long command was not seen.',
    cause: container
      ? `Its container ${container.name} is ${container.status}.`
      : 'Its container was removed by someone else.',
    next: 'mstdn-ops resume',
  })
}

function lost(container: Container, cause: string): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: 'end-not-seen',
    message: `The connection to the container ${container.name} was lost; its work may go on.`,
    cause,
    next: `Follow it with docker logs -f ${container.name}, then run mstdn-ops resume.`,
  })
}

/** Counts as part of the run that the ledger holds already (`run --rm` by hand), not as a change of its own. */
async function removed(stack: Stack, container: Container): Promise<void> {
  await stack.parts.runner.run(stack.project.docker(['rm', '-f', '-v', container.id]))
}
