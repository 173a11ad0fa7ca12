import { shellLine } from '../../text.js'
import type { KeptState, ReleaseBack } from '../backend.js'
import { missingImages, pullImage } from './image-store.js'
import { KeptFiles } from './kept-files.js'
import { clearOverride } from './release-override.js'
import type { Stack } from './stack.js'

/** The release before is the project's files as they were, and the images that they name. */
export class ComposeReleaseBack implements ReleaseBack {
  readonly #stack: Stack
  readonly #files: KeptFiles
  readonly #changed: () => void

  constructor(stack: Stack, changed: () => void) {
    this.#stack = stack
    this.#files = new KeptFiles(stack)
    this.#changed = changed
  }

  kept(key: string): Promise<KeptState[]> {
    return this.#files.kept(key)
  }

  missing(names: readonly string[]): Promise<string[]> {
    return missingImages(this.#stack, names)
  }

  async fetch(names: readonly string[], onProgress: (text: string) => void): Promise<void> {
    for (const image of await this.missing(names)) await pullImage(this.#stack, image, onProgress)
  }

  async replace(of: string, key: string): Promise<void> {
    const found = await this.#files.kept(of)
    for (const { path, copy } of found) {
      const exact = `put ${path} back as it was (${copy})`
      this.#stack.parts.ledger?.record({ kind: 'file', exact, byHand: shellLine(['cp', copy, path]) })
    }
    if (this.#stack.parts.runner.dryRun) return
    await clearOverride(this.#stack)
    for (const { path } of found) await this.#files.keep(path, key)
    await this.#files.putBack(of)
    this.#changed()
  }
}
