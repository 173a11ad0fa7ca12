import type { Invocation, Outcome } from '../../runner.js'
import { shellLine } from '../../text.js'
import type { AppCommand, AppOutcome, OneOff, ReleaseChange } from '../backend.js'
import { believed, marked } from '../marked.js'
import { randomNonce } from '../nonce.js'
import type { Container } from './containers.js'
import { runLong, untilLongOver } from './long-one-off.js'
import type { ComposeProject } from './project.js'
import { withImages } from './release-override.js'
import type { Stack } from './stack.js'

/** One-off processes: inside a running web container, or in a new container of the web service. */
export class ComposeOneOff implements OneOff {
  readonly #stack: Stack
  readonly #releases: Pick<ReleaseChange, 'parts'>
  #service = 'web'

  constructor(stack: Stack, service: string | undefined, releases: Pick<ReleaseChange, 'parts'>) {
    this.#stack = stack
    this.#releases = releases
    if (service !== undefined) this.#service = service
  }

  async run(command: AppCommand): Promise<AppOutcome> {
    const containers = await this.#stack.containers()
    this.#service = await this.#stack.appService(containers)
    const parts = command.release === undefined ? [] : await this.#releases.parts(command.release)
    return withImages(this.#stack, { parts, effect: command.effect }, project =>
      this.#runIn(project, command, containers),
    )
  }

  #runIn(project: ComposeProject, command: AppCommand, containers: readonly Container[]): Promise<AppOutcome> {
    if (command.longKey === undefined) return this.#short(project, command, containers)
    return runLong(this.#stack, { project, service: this.#service }, command, command.longKey, this.byHand(command))
  }

  untilOver(longKey: string): Promise<void> {
    return untilLongOver(this.#stack, longKey)
  }

  async interactive(command: AppCommand): Promise<number> {
    const containers = await this.#stack.containers()
    const container = command.fresh ? undefined : await this.#stack.appContainer(containers)
    this.#service = container?.service ?? (await this.#stack.appService(containers))
    const terminal = this.#stack.parts.terminal ?? process.stdin.isTTY === true
    const invocation = interactiveInvocation(
      this.#stack.project,
      { container, service: this.#service, terminal },
      command,
    )
    return this.#stack.parts.runner.interactive({ ...invocation, byHand: this.byHand(command) })
  }

  byHand(command: AppCommand): string {
    const how = isNew(command) || command.longKey !== undefined ? ['run', '--rm', '--no-deps'] : ['exec']
    const line = this.#stack.project.byHand([...how, ...envFlags(command), this.#service, ...command.argv])
    return command.release === undefined ? line : `${line}   # with the image of ${command.release}`
  }

  async #short(project: ComposeProject, command: AppCommand, containers: readonly Container[]): Promise<AppOutcome> {
    const { parts } = this.#stack
    const nonce = `mstdn-ops-${(parts.nonce ?? randomNonce)()}`
    const running = isNew(command) ? undefined : await this.#stack.appContainer(containers)
    const container = running && !dropsRights(running) ? running : undefined
    const invocation = container
      ? execInvocation(project, container, command, nonce)
      : runInvocation(project, this.#service, command, nonce)
    const outcome: Outcome = await parts.runner.run({ ...invocation, byHand: this.byHand(command) }, command.onLine)
    return outcome.planned ? outcome : believed(outcome, nonce, shellLine(command.argv.slice(0, 3)), command.effect)
  }
}

function isNew({ fresh, release }: AppCommand): boolean {
  return fresh === true || release !== undefined
}

/**
 * Whether the image's entry point goes from root to the app's user by itself (Mastodon 1.4–2.2, docker_entrypoint.sh):
 * `docker exec` goes past it, and files made as root would stay out of the app's reach.
 */
export function dropsRights(container: Container): boolean {
  const isRoot = ['', 'root', '0'].includes(container.user)
  return isRoot && container.entrypoint.some(word => /entrypoint/.test(word))
}

/** `docker exec` rather than `compose exec`: it costs a fifth of the time and needs no project files. */
export function execInvocation(
  project: ComposeProject,
  container: Container,
  command: AppCommand,
  nonce: string,
): Invocation {
  const input = command.stdin === undefined ? [] : ['-i']
  const args = ['exec', ...input, ...envFlags(command), container.name, ...marked(command.argv, nonce)]
  return project.docker(args, carried(command))
}

/** Returns a new container of the service that runs the command and goes. */
export function runInvocation(
  project: ComposeProject,
  service: string,
  command: AppCommand,
  nonce: string,
): Invocation {
  const args = ['run', '--rm', '-T', '--no-deps', ...envFlags(command), service, ...marked(command.argv, nonce)]
  return project.compose(args, carried(command))
}

function carried(command: AppCommand) {
  return {
    effect: command.effect,
    ...(command.stdin === undefined ? {} : { stdin: command.stdin }),
    ...(command.timeoutMs === undefined ? {} : { timeoutMs: command.timeoutMs }),
  }
}

interface Seat {
  container: Container | undefined
  service: string
  terminal: boolean
}

function interactiveInvocation(project: ComposeProject, seat: Seat, command: AppCommand): Invocation {
  const { container, service, terminal } = seat
  const parts = { effect: command.effect }
  if (container) {
    return project.docker(
      ['exec', terminal ? '-it' : '-i', ...envFlags(command), container.name, ...command.argv],
      parts,
    )
  }
  const tty = terminal ? [] : ['-T']
  return project.compose(['run', '--rm', ...tty, '--no-deps', ...envFlags(command), service, ...command.argv], parts)
}

export function envFlags(command: Pick<AppCommand, 'env'>): string[] {
  return Object.entries(command.env ?? {}).flatMap(([name, value]) => ['-e', `${name}=${value}`])
}
