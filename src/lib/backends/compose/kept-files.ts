import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, realpath, rename, rm } from 'node:fs/promises'
import { replaceFile, writeSynced } from '../../atomic-file.js'
import type { KeptState } from '../backend.js'
import { ComposeDocuments } from './documents.js'
import { composeFilesOf, envFilesOf } from './project-files.js'
import type { Stack } from './stack.js'

/** The project's files as they were, byte for byte, beside them under the key of a run. */
export class KeptFiles {
  readonly #stack: Pick<Stack, 'project'>

  constructor(stack: Pick<Stack, 'project'>) {
    this.#stack = stack
  }

  /** Keeps a file as it is, unless it was kept under the key before. */
  async keep(path: string, key: string): Promise<void> {
    const copy = keptName(path, key)
    if (existsSync(copy)) return
    // By way of a second name: a half-written copy must never count as the kept state.
    await writeSynced(`${copy}.part`, await readFile(path))
    await rename(`${copy}.part`, copy)
  }

  /** Returns every file that is kept under the key, and what stands in its place now. */
  async kept(key: string): Promise<KeptState[]> {
    const paths = (await this.#paths()).filter(path => existsSync(keptName(path, key)))
    return Promise.all(paths.map(path => stateOf(path, keptName(path, key))))
  }

  async putBack(key: string): Promise<void> {
    for (const { path, copy } of await this.kept(key)) await replaceFile(path, await readFile(copy))
  }

  async forget(key: string): Promise<void> {
    const copies = (await this.#paths()).map(path => keptName(path, key))
    for (const copy of copies.flatMap(copy => [copy, `${copy}.part`])) await rm(copy, { force: true })
  }

  /** Every file that may hold an image, by its real path. */
  async #paths(): Promise<string[]> {
    const { identity } = this.#stack.project
    const envFiles = envFilesOf(identity)
    const documents = await ComposeDocuments.read(composeFilesOf(identity), envFiles)
    const all = [...documents.texts().keys(), ...documents.envFiles()].filter(path => existsSync(path))
    return [...new Set(await Promise.all(all.map(path => realpath(path))))]
  }
}

async function stateOf(path: string, copy: string): Promise<KeptState> {
  const [now, then] = await Promise.all([readFile(path), readFile(copy)])
  return { path, copy, digest: createHash('sha256').update(now).digest('hex'), isBack: now.equals(then) }
}

function keptName(path: string, key: string): string {
  return `${path}.mstdn-ops-${key.replace(/[^\w.-]/g, '_')}`
}
