import { RefusedError } from '../../errors.js'
import type { Outcome } from '../../runner.js'
import { firstLine } from '../complaints.js'
import type { Stack } from './stack.js'

/** Whose the place is: the project. Not one of compose's own labels, for compose must not take its containers for its own. */
const OF_LABEL = 'mstdn-ops.apart'
const KEY_LABEL = 'mstdn-ops.apart.key'
export const KIND_LABEL = `${OF_LABEL}.kind`
export const LIMIT_MS = 60_000

const READ = { timeoutMs: LIMIT_MS }
const WRITE = { effect: 'write', timeoutMs: LIMIT_MS } as const

/** The engine, as places apart need it: what they make carries their labels and is found again by them. */
export class ApartEngine {
  readonly stack: Stack

  constructor(stack: Stack) {
    this.stack = stack
  }

  /** @throws RefusedError with what the engine said. */
  async must(
    words: readonly string[],
    env: Readonly<Record<string, string>> = {},
    effect: 'read' | 'write' = 'write',
  ): Promise<Outcome> {
    const invocation = this.stack.project.docker(words, { effect, env, ...(effect === 'read' ? READ : {}) })
    const outcome = await this.stack.parts.runner.run(invocation)
    if (outcome.exitCode === 0) return outcome
    throw notStarted(`docker ${words.slice(0, 2).join(' ')}`, firstLine(outcome))
  }

  /** Returns what the engine says, whatever its code is. */
  ask(words: readonly string[]): Promise<Outcome> {
    return this.stack.parts.runner.run(this.stack.project.docker(words, READ))
  }

  labels(key: string): string[] {
    return this.filters(key).flatMap(label => ['--label', label])
  }

  /** By which the containers of a place are found. */
  filters(key: string): string[] {
    return [`${OF_LABEL}=${this.stack.project.name}`, `${KEY_LABEL}=${key}`]
  }

  async remove(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.must(['rm', '-f', '-v', ...ids])
  }

  /** Removes all containers and networks of places of the project. Returns how many networks there were. */
  async removeAll(): Promise<number> {
    const label = `label=${OF_LABEL}=${this.stack.project.name}`
    await this.remove(await this.#ids(['ps', '-aq', '--filter', label]))
    const networks = await this.#ids(['network', 'ls', '--format', '{{.Name}}', '--filter', label])
    for (const network of networks) await this.#removeNetwork(network)
    return networks.length
  }

  /**
   * A container that is down is in no list of the network's, and the engine removes the network all the same: the
   * container still names it then, and does not start any more (seen with 20.10).
   */
  async #removeNetwork(name: string): Promise<void> {
    const leave = (id: string) => this.stack.project.docker(['network', 'disconnect', '-f', name, id], WRITE)
    for (const id of await this.#connected(name)) await this.stack.parts.runner.run(leave(id))
    const left = await this.#connected(name)
    if (left.length === 0) {
      await this.must(['network', 'rm', name])
      return
    }
    this.stack.parts.output.warn(
      `The network ${name} stays, for a container could not be taken out of it: docker network disconnect -f ${name} ${left[0]} && docker network rm ${name}`,
    )
  }

  /** Returns the ids of the containers that name the network, running or not. */
  async #connected(network: string): Promise<string[]> {
    const listed = await this.#ids(['ps', '-aq', '--no-trunc', '--filter', `network=${network}`])
    const own = await this.stack.withLabels([`com.docker.compose.project=${this.stack.project.name}`])
    const named = own.filter(({ networks }) => networks.includes(network))
    return [...new Set([...listed, ...named.map(({ id }) => id)])]
  }

  async #ids(words: readonly string[]): Promise<string[]> {
    const outcome = await this.must(words, {}, 'read')
    return outcome.stdout.split('\n').filter(Boolean)
  }
}

/** The name of a place's network, with which those of its containers begin. */
export function nameOf(key: string): string {
  return `mstdn-ops-apart-${key.replace(/[^\w.-]/g, '_')}`
}

export function notStarted(what: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'no-place-apart',
    message: `A place apart for another release could not be made: ${what} failed.`,
    cause,
    next: 'See what the engine says: docker info',
  })
}
