import { constants, existsSync } from 'node:fs'
import { access, readFile, realpath, rename, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { replaceFile, writeSynced } from '../../atomic-file.js'
import { messageOf, RefusedError } from '../../errors.js'
import { shellQuote } from '../../text.js'
import type { Config, ConfigChanges } from '../backend.js'
import type { Container } from './containers.js'
import { ComposeDocuments } from './documents.js'
import { changedEnvFile } from './env-file.js'
import { variablesIn } from './env-variables.js'
import { composeFilesOf, envFilesOf } from './project-files.js'
import type { Stack } from './stack.js'

/** The environment of the app: what its containers were given, and the env file that the next ones are given. */
export class ComposeConfig implements Config {
  readonly #stack: Stack
  readonly #changed: () => void
  #file: string | undefined

  constructor(stack: Stack, changed: () => void) {
    this.#stack = stack
    this.#changed = changed
  }

  get where(): string {
    return this.#file ?? `the env_file of ${this.#stack.project.name}`
  }

  async running(known?: readonly Container[]): Promise<ReadonlyMap<string, string>> {
    const containers = known ?? (await this.#stack.containers())
    const services = await this.#stack.servicesOf(['web'], containers)
    const web = containers.filter(container => services.includes(container.service))
    return (web.find(container => container.status === 'running') ?? web[0])?.env ?? this.stored()
  }

  async stored(): Promise<ReadonlyMap<string, string>> {
    return this.#stack.storedEnvironment(await this.#stack.appService())
  }

  /** The values are those that compose reads, which knows all spellings. */
  async own(): Promise<ReadonlyMap<string, string>> {
    this.#file = await this.#envFile()
    const named = variablesIn(await readFile(this.#file, 'utf8'))
    return new Map([...(await this.stored())].filter(([name]) => named.has(name)))
  }

  async files(): Promise<string[]> {
    const { identity } = this.#stack.project
    const documents = await ComposeDocuments.read(composeFilesOf(identity), envFilesOf(identity))
    const ofServices = await this.#stack.configuration.allEnvFiles()
    const all = [...documents.texts().keys(), ...documents.envFiles(), ...ofServices]
    return [...new Set(all)].filter(path => existsSync(path))
  }

  async writable(): Promise<void> {
    await this.#writableFile()
  }

  /**
   * Writes the env file, then asks compose what it reads: what another file or `environment:` overrides, or compose
   * reads differently, is put back and refused.
   */
  async write(changes: ConfigChanges): Promise<void> {
    const file = await this.#writableFile()
    const before = await readFile(file, 'utf8')
    const after = changedEnvFile(before, changes)
    if (!this.#admit(file, changes) || after === before) return
    await replaceFile(file, after)
    const wrong = await this.#differing(changes).catch(error => this.#putBackAndThrow(file, before, error))
    if (wrong.length > 0) await this.#putBackAndThrow(file, before, overridden(file, wrong))
    this.#changed()
  }

  async keep(key: string): Promise<string> {
    const file = await this.#writableFile()
    const copy = keptName(file, key)
    if (existsSync(copy) || this.#stack.parts.runner.dryRun) return copy
    // By way of a second name: a half-written copy must never count as the kept state.
    await writeSynced(`${copy}.part`, await readFile(file, 'utf8'))
    await rename(`${copy}.part`, copy)
    return copy
  }

  async putBack(key: string): Promise<void> {
    const file = await this.#writableFile()
    const copy = keptName(file, key)
    if (!existsSync(copy) || this.#stack.parts.runner.dryRun) return
    await replaceFile(file, await readFile(copy, 'utf8'))
    this.#changed()
  }

  async forget(key: string): Promise<void> {
    if (this.#stack.parts.runner.dryRun) return
    await rm(keptName(await this.#writableFile(), key), { force: true })
  }

  /** Learns the env file's name for {@link where}; nothing is refused here. */
  async locate(): Promise<void> {
    this.#file = await this.#envFile().catch(() => undefined)
  }

  #admit(file: string, changes: ConfigChanges): boolean {
    const { ledger, runner } = this.#stack.parts
    for (const [key, value] of Object.entries(changes)) {
      const exact = `${value === null ? 'remove' : 'set'} ${key} in ${file}`
      ledger?.record({ kind: 'file', exact, byHand: `sudoedit ${shellQuote(file)}   # ${exact}` })
    }
    if (runner.dryRun) this.#stack.configurationWouldChange = true
    return !runner.dryRun
  }

  async #differing(changes: ConfigChanges): Promise<string[]> {
    this.#stack.configuration.forget()
    const service = await this.#stack.configuration.service(await this.#stack.appService())
    const read = service?.environment ?? new Map<string, string>()
    return Object.entries(changes).flatMap(([key, value]) => ((read.get(key) ?? null) === value ? [] : [key]))
  }

  async #putBackAndThrow(file: string, text: string, error: unknown): Promise<never> {
    await replaceFile(file, text)
    this.#stack.configuration.forget()
    throw error
  }

  async #writableFile(): Promise<string> {
    const file = await this.#envFile()
    try {
      await access(file, constants.R_OK | constants.W_OK)
      await access(dirname(file), constants.W_OK)
    } catch (error) {
      throw notWritable(file, messageOf(error))
    }
    this.#file = file
    return file
  }

  /** The first env_file of the service that exists; a link is followed, so that the link itself stays. */
  async #envFile(): Promise<string> {
    const service = await this.#stack.appService()
    const files = await this.#stack.configuration.envFiles(service)
    const file = files.find(name => existsSync(name))
    if (file === undefined) throw noEnvFile(service, files)
    return realpath(file)
  }
}

function keptName(file: string, key: string): string {
  return `${file}.mstdn-ops-${key.replace(/[^\w.-]/g, '_')}`
}

function noEnvFile(service: string, files: readonly string[]): RefusedError {
  return new RefusedError({
    code: 'no-env-file',
    message: `The service ${service} has no env_file that exists.`,
    cause:
      files.length === 0
        ? 'Its variables come from elsewhere, like environment: in the compose file.'
        : `Named are ${files.join(', ')}.`,
    next: 'Set the variables where they come from, or add env_file: .env.production to the service.',
  })
}

function notWritable(file: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'env-file-not-writable',
    message: `${basename(file)} cannot be written.`,
    cause,
    next: `Run the command as a user who may write ${file}.`,
  })
}

function overridden(file: string, keys: readonly string[]): RefusedError {
  return new RefusedError({
    code: 'variable-overridden',
    message: `${keys.join(', ')} would not take effect from ${file}; the file is as it was.`,
    cause: 'environment: in the compose file, or a later env_file, sets another value.',
    next: 'Set it there, or take it out there, then run the command again.',
  })
}
