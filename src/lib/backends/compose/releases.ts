import type { ReleaseChange, Releases } from '../backend.js'
import { imageTag } from './roles.js'
import type { Stack } from './stack.js'

/** The release is the image of the web containers. */
export class ComposeReleases implements Releases {
  readonly #stack: Stack
  readonly change: ReleaseChange

  constructor(stack: Stack, change: ReleaseChange) {
    this.#stack = stack
    this.change = change
  }

  /** Returns the tag of what runs; of what the configuration names where there is no container. */
  async current(): Promise<{ label: string; image: string } | undefined> {
    const containers = await this.#stack.containersOf(['web'])
    const running = (containers.find(container => container.status === 'running') ?? containers[0])?.image
    const image = running ?? (await this.#configured())
    return image === undefined || image === '' ? undefined : { label: imageTag(image), image }
  }

  async #configured(): Promise<string | undefined> {
    return (await this.#stack.configuration.service(await this.#stack.appService()))?.image
  }
}
