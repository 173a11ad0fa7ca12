import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Alias, Document, Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { RefusedError } from '../../errors.js'

/** Where the image of a service is written: the range of a scalar in a file. */
export interface ImagePlace {
  path: string
  start: number
  end: number
  /** What stands there, as compose reads it before it interpolates. */
  text: string
  quote: '' | '"' | "'"
  /** The env files whose variables are in force there, the strongest last. */
  envFiles: readonly string[]
}

/** Where a line of its own can be given to a service. */
export interface LinePlace {
  path: string
  at: number
  /** What stands before and after what is inserted. */
  before: string
  after: string
}

interface Source {
  path: string
  text: string
  document: Document
  envFiles: readonly string[]
}

type Yaml = typeof import('yaml')

/** How deep `extends` and `include` may lead; compose itself refuses circles. */
const DEEPEST = 20

/** A compose project's files as they are written, with all that `include` and `extends` lead to. */
export class ComposeDocuments {
  readonly #yaml: Yaml
  readonly #sources = new Map<string, Source>()
  /** The files that give services, the strongest first. */
  readonly #order: Source[] = []

  private constructor(yaml: Yaml) {
    this.#yaml = yaml
  }

  /**
   * Reads the files that compose would read.
   *
   * @param files in compose's order: a later one overrides an earlier one
   * @throws RefusedError when one is no YAML
   */
  static async read(files: readonly string[], envFiles: readonly string[]): Promise<ComposeDocuments> {
    const documents = new ComposeDocuments(await import('yaml'))
    const main = []
    for (const file of files) main.push(await documents.#source(file, envFiles))
    documents.#order.push(...main.toReversed())
    for (const source of main) await documents.#include(source, DEEPEST)
    return documents
  }

  /** Every file that was read, with its text. */
  texts(): ReadonlyMap<string, string> {
    return new Map([...this.#sources.values()].map(({ path, text }) => [path, text]))
  }

  /** The env files whose variables are in force in any of them. */
  envFiles(): string[] {
    return [...new Set([...this.#sources.values()].flatMap(({ envFiles }) => envFiles))]
  }

  /** Returns where the image of the service is written; undefined where none of the files says it. */
  async imageOf(service: string): Promise<ImagePlace | undefined> {
    for (const source of this.#order) {
      const place = await this.#imageIn(source, service, DEEPEST)
      if (place) return place
    }
    return undefined
  }

  /** Returns where the service can be given an image of its own; undefined where it is but a reference to another one. */
  lineFor(service: string): LinePlace | undefined {
    for (const source of this.#order) {
      const node = servicesOf(source.document)?.get(service, true)
      if (this.#yaml.isMap(node)) return lineIn(source, node)
    }
    return undefined
  }

  async #source(path: string, envFiles: readonly string[]): Promise<Source> {
    const known = this.#sources.get(path)
    if (known) return known
    const text = await readFile(path, 'utf8')
    const document = this.#yaml.parseDocument(text, { merge: false, uniqueKeys: false, logLevel: 'silent' })
    const [error] = document.errors
    if (error) throw notYaml(path, error.message)
    const source = { path, text, document, envFiles }
    this.#sources.set(path, source)
    return source
  }

  async #include(source: Source, depth: number): Promise<void> {
    const entries = source.document.get('include', true)
    if (depth === 0 || !this.#yaml.isSeq(entries)) return
    for (const entry of entries.items) {
      for (const { path, envFiles } of includedBy(source, toPlain(entry, source))) {
        const included = await this.#source(path, envFiles)
        this.#order.push(included)
        await this.#include(included, depth - 1)
      }
    }
  }

  async #imageIn(source: Source, service: string, depth: number): Promise<ImagePlace | undefined> {
    const node = this.#map(servicesOf(source.document)?.get(service, true), source)
    if (node === undefined || depth === 0) return undefined
    const image = this.#value(node, 'image', source, DEEPEST)
    if (image) return this.#place(image, source)
    const extended = this.#value(node, 'extends', source, DEEPEST)
    return extended ? this.#extended(toPlain(extended, source), source, depth) : undefined
  }

  async #extended(base: unknown, source: Source, depth: number): Promise<ImagePlace | undefined> {
    const { service, file } = typeof base === 'string' ? { service: base, file: undefined } : baseOf(base)
    if (service === undefined) return undefined
    const path = file === undefined ? source.path : resolve(dirname(source.path), file)
    return this.#imageIn(await this.#source(path, source.envFiles), service, depth - 1)
  }

  /** The map's own value, else that of what is merged into it (`<<`), the first that has it. */
  #value(map: YAMLMap, key: string, source: Source, depth: number): Node | undefined {
    const own = this.#resolved(map.get(key, true) as Node | undefined, source)
    if (own || depth === 0) return own
    const merged = map.items
      .filter(pair => keyOf(pair) === '<<')
      .map(pair => this.#resolved(pair.value as Node, source))
    const maps = merged.flatMap(node => (this.#yaml.isSeq(node) ? (node as YAMLSeq<Node>).items : [node]))
    for (const node of maps) {
      const base = this.#map(node, source)
      const found = base && this.#value(base, key, source, depth - 1)
      if (found) return found
    }
    return undefined
  }

  #map(node: unknown, source: Source): YAMLMap | undefined {
    const found = this.#resolved(node as Node | undefined, source)
    return this.#yaml.isMap(found) ? found : undefined
  }

  #resolved(node: Node | undefined, source: Source): Node | undefined {
    return this.#yaml.isAlias(node) ? (node as Alias).resolve(source.document) : (node ?? undefined)
  }

  #place(node: Node, source: Source): ImagePlace | undefined {
    if (!this.#yaml.isScalar(node) || !node.range) return undefined
    const quote = QUOTES[(node as Scalar).type ?? '']
    const [start, end] = node.range
    if (quote === undefined || source.text.slice(start, end).includes('\n')) return undefined
    return { path: source.path, start, end, text: String(node.value), quote, envFiles: source.envFiles }
  }
}

const QUOTES: Readonly<Record<string, ImagePlace['quote']>> = { PLAIN: '', QUOTE_DOUBLE: '"', QUOTE_SINGLE: "'" }

function servicesOf(document: Document): YAMLMap | undefined {
  const services = document.get('services', true) as YAMLMap | undefined
  return services && 'items' in services ? services : undefined
}

function keyOf(pair: Pair): unknown {
  return (pair.key as Scalar | null)?.value
}

function toPlain(node: unknown, { document }: Source): unknown {
  return (node as Node).toJS(document)
}

function baseOf(base: unknown): { service?: string; file?: string } {
  const { service, file } = (base ?? {}) as Record<string, unknown>
  return {
    ...(typeof service === 'string' ? { service } : {}),
    ...(typeof file === 'string' ? { file } : {}),
  }
}

/** A list of paths means that later ones override earlier ones, which they do here by coming first. */
function includedBy(source: Source, entry: unknown): { path: string; envFiles: string[] }[] {
  const { path, env_file, project_directory } = typeof entry === 'string' ? { path: entry } : toRecord(entry)
  const here = dirname(source.path)
  const paths = listOf(path).map(one => resolve(here, one))
  const folder = typeof project_directory === 'string' ? resolve(here, project_directory) : dirname(paths[0] ?? here)
  const named = listOf(env_file).map(one => resolve(here, one))
  const own = named.length > 0 ? named : [resolve(folder, '.env')].filter(file => existsSync(file))
  return paths.toReversed().map(one => ({ path: one, envFiles: [...new Set([...own, ...source.envFiles])] }))
}

function toRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function listOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter(one => typeof one === 'string')
}

/** Before the first key of the service, in its own column. */
function lineIn({ path, text }: Source, map: YAMLMap): LinePlace | undefined {
  const first = (map.items[0]?.key as Scalar | undefined)?.range?.[0]
  if (first === undefined) return undefined
  if (map.flow) return { path, at: first, before: '', after: ', ' }
  const indent = text.slice(text.lastIndexOf('\n', first - 1) + 1, first)
  return /^ *$/.test(indent) ? { path, at: first, before: '', after: `\n${indent}` } : undefined
}

function notYaml(path: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'compose-file-not-yaml',
    message: `${path} cannot be read as YAML.`,
    cause: cause.split('\n')[0] ?? cause,
    next: 'Check it: docker compose config',
  })
}
