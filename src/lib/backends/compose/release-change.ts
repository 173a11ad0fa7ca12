import { realpath } from 'node:fs/promises'
import { replaceFile } from '../../atomic-file.js'
import { RefusedError } from '../../errors.js'
import { imageOfRelease } from '../../mastodon/upgrade/images.js'
import { MastodonVersion } from '../../mastodon/version.js'
import { shellQuote } from '../../text.js'
import type { FormerProcess, ReleaseChange, ReleasePart } from '../backend.js'
import { texts } from '../json.js'
import { readOrRefuse } from './client.js'
import { type ServiceConfiguration, servicesFrom } from './configuration.js'
import { buildImage } from './image-build.js'
import { imageEdits } from './image-edits.js'
import { missingImages, pullImage } from './image-store.js'
import { KeptFiles } from './kept-files.js'
import type { ComposeProcesses } from './processes.js'
import { composeFilesOf, envFilesOf } from './project-files.js'
import { ComposeReleaseBack } from './release-back.js'
import { clearOverride } from './release-override.js'
import { isMastodonImage, roleOf } from './roles.js'
import type { Stack } from './stack.js'

const READ_LIMIT_MS = 60_000

/** A release is the image of every service that runs Mastodon, named in the project's files. */
export class ComposeReleaseChange implements ReleaseChange {
  readonly #stack: Stack
  readonly #processes: Pick<ComposeProcesses, 'renew'>
  readonly #changed: () => void
  readonly #files: KeptFiles
  readonly back: ComposeReleaseBack

  constructor(stack: Stack, processes: Pick<ComposeProcesses, 'renew'>, changed: () => void) {
    this.#stack = stack
    this.#processes = processes
    this.#changed = changed
    this.#files = new KeptFiles(stack)
    this.back = new ComposeReleaseBack(stack, changed)
  }

  async parts(version: string): Promise<ReleasePart[]> {
    const release = MastodonVersion.of(version)
    const found = await this.#appServices()
    const parts = await Promise.all(found.map(service => this.#partOf(service, release)))
    return parts.filter(({ from, to }) => from !== to)
  }

  async isHere(version: string): Promise<boolean> {
    return (await this.#missing(version)).length === 0
  }

  async fetch(version: string, onProgress: (text: string) => void): Promise<void> {
    const parts = await this.parts(version)
    const services = await this.#services()
    for (const image of await this.#missing(version)) {
      const isBuilt = ({ name, build }: ServiceConfiguration) =>
        build !== undefined && parts.some(part => part.name === name && part.to === image)
      const built = services.find(isBuilt)
      const part = parts.find(({ name }) => name === built?.name)
      if (built === undefined || part === undefined) await pullImage(this.#stack, image, onProgress)
      else await buildImage(this.#stack, { service: built, part, version }, onProgress)
    }
  }

  /** Reads back what compose makes of the files: where that is not what was meant, they are put back and it is refused. */
  async write(version: string, key: string): Promise<string[]> {
    await clearOverride(this.#stack)
    const parts = await this.parts(version)
    const edits = await this.#edits(parts)
    this.#record(parts, [...edits.keys()])
    if (this.#stack.parts.runner.dryRun) return []
    const before = await this.#services()
    for (const path of edits.keys()) await this.#files.keep(path, key)
    for (const [path, text] of edits) await replaceFile(path, text)
    this.#changed()
    const wrong = await this.#notAsMeant(before, parts).catch((error: Error) => error.message)
    // A run that was killed in here has kept some before.
    if (wrong === undefined) return (await this.#files.kept(key)).map(({ copy }) => copy)
    await this.putBack(key)
    throw notAsMeant(wrong)
  }

  async putBack(key: string): Promise<void> {
    if (this.#stack.parts.runner.dryRun) return
    await clearOverride(this.#stack)
    await this.#files.putBack(key)
    this.#changed()
  }

  async forget(key: string): Promise<void> {
    if (!this.#stack.parts.runner.dryRun) await this.#files.forget(key)
  }

  bring(former: readonly FormerProcess[]): Promise<void> {
    return this.#processes.renew(former)
  }

  /** The services whose image is Mastodon's, and those that the operator named, or that run Mastodon under another name. */
  async #appServices(): Promise<ServiceConfiguration[]> {
    const named = await this.#stack.servicesOf(['web', 'sidekiq', 'streaming'])
    return (await this.#services()).filter(({ name, image }) => isMastodonImage(image) || named.includes(name))
  }

  /** Those of profiles that are off too: they would stay on the former release. */
  async #services(): Promise<ServiceConfiguration[]> {
    const { project, parts } = this.#stack
    const words = ['--profile', '*', 'config', '--format', 'json']
    const invocation = project.compose(words, { timeoutMs: READ_LIMIT_MS })
    const what = `Reading the configuration of the compose project ${project.name}`
    return servicesFrom((await readOrRefuse(parts.runner, invocation, what)).stdout)
  }

  async #partOf(service: ServiceConfiguration, release: MastodonVersion): Promise<ReleasePart> {
    const { name, image } = service
    if (image === '') throw built(name)
    const streaming = roleOf(service) === 'streaming' || (await this.#stack.roles()).streaming.includes(name)
    const to = imageOfRelease(image, release, streaming)
    if (to === undefined) throw noStreamingImage(name, image, release)
    const health = service.healthCommand === undefined ? {} : { healthCommand: service.healthCommand }
    return { name, from: image, to: image.includes('@') ? await this.#pinned(to) : to, ...health }
  }

  /** With the digest that the registry gave to the image, where it came from one. */
  async #pinned(image: string): Promise<string> {
    const words = ['image', 'inspect', '--format', '{{json .RepoDigests}}', image]
    const outcome = await this.#stack.parts.runner.run(this.#stack.project.docker(words, { timeoutMs: READ_LIMIT_MS }))
    const digests = outcome.exitCode === 0 ? texts(JSON.parse(outcome.stdout)) : []
    const repository = image.replace(/:[^:/]*$/, '')
    const digest = digests.find(one => one.startsWith(`${repository}@`))?.slice(repository.length)
    return digest === undefined ? image : image + digest
  }

  async #missing(version: string): Promise<string[]> {
    return missingImages(
      this.#stack,
      (await this.parts(version)).map(({ to }) => to),
    )
  }

  /** By the real path of each file, so that a link stays one. */
  async #edits(parts: readonly ReleasePart[]): Promise<Map<string, string>> {
    const { identity } = this.#stack.project
    const shell = new Map(Object.entries(process.env).map(([name, value]) => [name, value ?? '']))
    const where = { files: composeFilesOf(identity), envFiles: envFilesOf(identity), shell }
    const wanted = parts.map(({ name, from, to }) => ({ service: name, from, to }))
    const edits = await imageEdits(wanted, where)
    return new Map(await Promise.all([...edits].map(async ([path, text]) => [await realpath(path), text] as const)))
  }

  /** Returns what compose reads otherwise than it was meant, in words. */
  async #notAsMeant(
    before: readonly ServiceConfiguration[],
    parts: readonly ReleasePart[],
  ): Promise<string | undefined> {
    const now = new Map((await this.#services()).map(({ name, image }) => [name, image]))
    const meant = ({ name, image }: ServiceConfiguration) => parts.find(part => part.name === name)?.to ?? image
    const wrong = before.find(service => now.get(service.name) !== meant(service))
    return wrong && `The image of ${wrong.name} would be ${now.get(wrong.name)}, and not ${meant(wrong)}.`
  }

  #record(parts: readonly ReleasePart[], paths: readonly string[]): void {
    const images = [...new Set(parts.map(({ to }) => to))]
    const meant = images.map(to => `${namesOf(parts, to)}: ${to}`).join('; ')
    for (const path of paths) {
      const exact = `set the images in ${path} (${meant})`
      this.#stack.parts.ledger?.record({ kind: 'file', exact, byHand: `sudoedit ${shellQuote(path)}   # ${meant}` })
    }
  }
}

function namesOf(parts: readonly ReleasePart[], to: string): string {
  return parts.flatMap(part => (part.to === to ? [part.name] : [])).join(', ')
}

function built(service: string): RefusedError {
  return new RefusedError({
    code: 'image-built',
    message: `The image of ${service} has no name: it is built by compose.`,
    cause: 'Without a tag the former image would be lost, and with it the way back.',
    next: `Give ${service} a name in the compose file, like image: mastodon:v4.3.8 beside build:, and build under the new one.`,
  })
}

function noStreamingImage(service: string, image: string, version: MastodonVersion): RefusedError {
  return new RefusedError({
    code: 'streaming-image-unknown',
    message: `Where the streaming image of ${version} is cannot be told from ${image}.`,
    cause: 'From 4.3.0 on streaming has an image of its own.',
    next: `Give ${service} an image whose name ends in /mastodon-streaming, and try again.`,
  })
}

function notAsMeant(cause: string): RefusedError {
  return new RefusedError({
    code: 'images-not-switched',
    message: 'Compose does not read the changed files as they were meant; they are as they were before.',
    cause,
    next: 'Change the images by hand, then mstdn-ops db:migrate and mstdn-ops restart: docs/runbooks/upgrade.md',
  })
}
