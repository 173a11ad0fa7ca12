import { resolve } from 'node:path'
import { RefusedError, UsageError } from '../../errors.js'
import type { Invocation } from '../../runner.js'
import { type Files, ROLES, type Role } from '../backend.js'
import { firstLine } from '../complaints.js'
import type { Container } from './containers.js'
import type { Stack } from './stack.js'

/** Copies by `docker cp`, which works on stopped containers and needs no program inside of them. */
export class ComposeFiles implements Files {
  readonly #stack: Stack

  constructor(stack: Stack) {
    this.#stack = stack
  }

  /** @throws UsageError when there is no such place; RefusedError when the copy failed. */
  async copy(direction: 'in' | 'out', local: string, remote: { place: string; path: string }): Promise<void> {
    const container = await this.#container(remote.place)
    const outcome = await this.#stack.parts.runner.run(this.#invocation(direction, local, container, remote.path))
    if (outcome.exitCode === 0) return
    throw new RefusedError({
      code: 'copy-failed',
      message: `${remote.place}:${remote.path} was not copied.`,
      cause: firstLine(outcome),
    })
  }

  /** An absolute local path is never taken for `CONTAINER:PATH`, nor `-` for standard input. */
  #invocation(direction: 'in' | 'out', local: string, container: Container, path: string): Invocation {
    const here = resolve(local)
    const there = `${container.name}:${path}`
    const typed = `${container.service}:${path}`
    const args = direction === 'in' ? [here, there] : [there, here]
    const byHand = this.#stack.project.byHand(['cp', ...(direction === 'in' ? [local, typed] : [typed, local])])
    return this.#stack.project.docker(['cp', ...args], { effect: 'write', byHand })
  }

  async #container(place: string): Promise<Container> {
    const containers = await this.#stack.containers()
    const services = ROLES.includes(place as Role) ? await this.#stack.servicesOf([place as Role], containers) : []
    const found = containers.filter(
      one => services.includes(one.service) || one.service === place || one.name === place,
    )
    const container = found.find(one => one.status === 'running') ?? found[0]
    if (container) return container
    const places = [...new Set(containers.map(one => one.service))].join(', ')
    throw new UsageError({
      code: 'no-such-place',
      message: `There is no ${place} in this project.`,
      cause: `There are ${places}.`,
    })
  }
}
