import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { RefusedError } from '../../errors.js'
import { ComposeDocuments, type ImagePlace } from './documents.js'
import { changedVariable, variablesIn } from './env-variables.js'
import { changedImage } from './image-text.js'
import { interpolated, type Variables } from './interpolation.js'

/** A service, the image that compose reads for it, and the one that it is to have. */
export interface WantedImage {
  service: string
  from: string
  to: string
}

/** The files of a project that say which images its services have. */
export interface ImageFiles {
  /** In compose's order. */
  files: readonly string[]
  /** For the variables, the strongest last. */
  envFiles: readonly string[]
  /** The variables of the shell, which are stronger than any file. */
  shell: Variables
}

interface Edit {
  start: number
  end: number
  text: string
}

/**
 * Returns the new texts of the files that must change for the services to have the wanted images, by path. All that
 * does not name an image stays as it is, byte for byte.
 *
 * @throws RefusedError naming the service whose image is not written where it could be changed.
 */
export async function imageEdits(wanted: readonly WantedImage[], where: ImageFiles): Promise<Map<string, string>> {
  const editor = new ImageEditor(await ComposeDocuments.read(where.files, where.envFiles), where.shell)
  for (const one of wanted) await editor.change(one)
  return editor.texts()
}

class ImageEditor {
  readonly #documents: ComposeDocuments
  readonly #shell: Variables
  readonly #edits = new Map<string, Edit[]>()
  /** What stands where from now on, for services that share a place. */
  readonly #taken = new Map<string, string>()
  readonly #variables = new Map<string, string>()
  readonly #envTexts = new Map<string, string>()

  constructor(documents: ComposeDocuments, shell: Variables) {
    this.#documents = documents
    this.#shell = shell
  }

  async change(wanted: WantedImage): Promise<void> {
    const place = await this.#documents.imageOf(wanted.service)
    if (place === undefined) throw notFound(wanted.service)
    const variables = await this.#variablesAt(place)
    if (interpolated(place.text, variables) !== wanted.from) throw notAsRead(wanted, place)
    const key = `${place.path}:${place.start}`
    const taken = this.#taken.get(key)
    if (taken !== undefined && taken !== wanted.to) return this.#insert(wanted)
    if (taken === undefined) await this.#replace(place, wanted, variables)
    this.#taken.set(key, wanted.to)
  }

  texts(): Map<string, string> {
    const changed = [...this.#edits].map(([path, edits]) => {
      const text = this.#documents.texts().get(path) ?? ''
      return [path, edited(text, edits)] as const
    })
    const texts = [...changed, ...this.#envTexts]
    return new Map(texts.filter(([path, text]) => text !== this.#documents.texts().get(path)))
  }

  async #replace(place: ImagePlace, { service, to }: WantedImage, variables: Variables): Promise<void> {
    const change = changedImage(place.text, to, variables, this.#variables)
    if (change === undefined) throw notFound(service)
    for (const [name, value] of change.variables) await this.#setVariable(place, service, name, value)
    this.#edit(place.path, { start: place.start, end: place.end, text: place.quote + change.text + place.quote })
  }

  /** The service has its image together with others that are to have another one. */
  #insert({ service, to }: WantedImage): void {
    const line = this.#documents.lineFor(service)
    if (line === undefined) throw shared(service, to)
    this.#edit(line.path, { start: line.at, end: line.at, text: `${line.before}image: ${to}${line.after}` })
  }

  #edit(path: string, edit: Edit): void {
    this.#edits.set(path, [...(this.#edits.get(path) ?? []), edit])
  }

  async #setVariable(place: ImagePlace, service: string, name: string, value: string): Promise<void> {
    if (this.#shell.has(name)) throw inShell(name, value)
    for (const file of place.envFiles.toReversed()) {
      const text = await this.#envText(file)
      if (!variablesIn(text).has(name)) continue
      this.#envTexts.set(file, changedVariable(text, name, value))
      this.#variables.set(name, value)
      return
    }
    throw notFound(service)
  }

  async #variablesAt({ envFiles }: ImagePlace): Promise<Variables> {
    const texts = await Promise.all(envFiles.map(file => this.#formerText(file)))
    return new Map([...texts.flatMap(text => [...variablesIn(text)]), ...this.#shell])
  }

  async #envText(file: string): Promise<string> {
    return this.#envTexts.get(file) ?? (await this.#formerText(file))
  }

  async #formerText(file: string): Promise<string> {
    return existsSync(file) ? readFile(file, 'utf8') : ''
  }
}

function edited(text: string, edits: readonly Edit[]): string {
  const backwards = edits.toSorted((a, b) => b.start - a.start)
  return backwards.reduce((sum, { start, end, text: words }) => sum.slice(0, start) + words + sum.slice(end), text)
}

const BY_HAND =
  'Name the image in the compose file itself, like image: ghcr.io/mastodon/mastodon:v4.3.8, and try again.'

function notFound(service: string): RefusedError {
  return new RefusedError({
    code: 'image-not-found',
    message: `Where the image of ${service} is written was not found.`,
    cause: 'Neither the compose files nor what they include or extend says it in a way that can be changed here.',
    next: BY_HAND,
  })
}

function notAsRead({ service, from }: WantedImage, place: ImagePlace): RefusedError {
  return new RefusedError({
    code: 'image-not-found',
    message: `Where the image of ${service} is written was not found.`,
    cause: `Compose reads ${from}; ${basename(place.path)} says ${place.text}.`,
    next: BY_HAND,
  })
}

function shared(service: string, to: string): RefusedError {
  return new RefusedError({
    code: 'image-shared',
    message: `${service} has its image together with other services, and needs another one from now on: ${to}.`,
    cause: 'It is but a reference to what they have in the compose file.',
    next: `Give ${service} an image of its own there, and try again.`,
  })
}

function inShell(name: string, value: string): RefusedError {
  return new RefusedError({
    code: 'image-in-shell',
    message: `${name} is set in this shell, and is stronger than what any file says.`,
    cause: 'It tells the release that compose starts, and cannot be changed for good from here.',
    next: `Write ${name} into the project's .env, take it out of the shell (unset ${name}), and try again: it is to become ${value}.`,
  })
}
