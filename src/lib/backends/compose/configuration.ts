import type { Runner } from '../../runner.js'
import { readText, records, texts, toRecord } from '../json.js'
import { readOrRefuse } from './client.js'
import type { ComposeProject } from './project.js'
import type { ServiceShape } from './roles.js'

/** A service as the configuration says it. Its environment holds secrets and stays in memory. */
export interface ServiceConfiguration extends ServiceShape {
  environment: ReadonlyMap<string, string>
  /** The command that tests its health, where the files name one. */
  healthCommand?: string
  /** How its image is built, where the files say so. */
  build?: BuildConfiguration
}

export interface BuildConfiguration {
  /** A folder, or the address of a repository. */
  context: string
  args: ReadonlyMap<string, string>
}

/** The project's configuration as compose resolves it, read once and again after a change. */
export class Configuration {
  readonly #project: ComposeProject
  readonly #runner: Runner
  #services: Promise<ServiceConfiguration[]> | undefined

  constructor(project: ComposeProject, runner: Runner) {
    this.#project = project
    this.#runner = runner
  }

  /** @throws RefusedError when the files are elsewhere or wrong. */
  services(): Promise<ServiceConfiguration[]> {
    this.#services ??= this.#read()
    return this.#services
  }

  async service(name: string): Promise<ServiceConfiguration | undefined> {
    return (await this.services()).find(service => service.name === name)
  }

  /** Forgets what was read, so that the next question reads the files again. */
  forget(): void {
    this.#services = undefined
  }

  /** Returns the env files of a service in order, absolute, whether or not they exist. */
  async envFiles(service: string): Promise<string[]> {
    return envFilesIn((await this.#asWritten())[service])
  }

  /** Returns the env files of all services, absolute, whether or not they exist. */
  async allEnvFiles(): Promise<string[]> {
    return [...new Set(Object.values(await this.#asWritten()).flatMap(envFilesIn))]
  }

  async #asWritten(): Promise<Record<string, unknown>> {
    const words = ['--no-interpolate', '--no-normalize', '--format', 'json']
    return toRecord(toRecord(JSON.parse(await this.#config(words, 'Reading env_file'))).services)
  }

  async #read(): Promise<ServiceConfiguration[]> {
    return servicesFrom(await this.#config(['--format', 'json'], 'Reading the configuration'))
  }

  async #config(args: readonly string[], what: string): Promise<string> {
    const invocation = this.#project.compose(['config', ...args], { timeoutMs: 60_000 })
    return (await readOrRefuse(this.#runner, invocation, `${what} of the compose project ${this.#project.name}`)).stdout
  }
}

function envFilesIn(service: unknown): string[] {
  const files = toRecord(service).env_file
  return [...texts(files), ...records(files).map(file => readText(file.path))]
}

/** Returns the services of `compose config --format json`, which shows every `$` doubled. */
export function servicesFrom(config: string): ServiceConfiguration[] {
  const services = toRecord(toRecord(JSON.parse(config)).services)
  return Object.entries(services).map(([name, raw]) => {
    const service = toRecord(raw)
    return {
      name,
      image: readText(service.image),
      command: [...words(service.entrypoint), ...words(service.command)],
      environment: environmentOf(service.environment),
      ...healthCommandOf(service),
      ...buildOf(service),
    }
  })
}

function healthCommandOf(service: Record<string, unknown>): { healthCommand?: string } {
  const [kind, ...rest] = words(toRecord(service.healthcheck).test)
  return kind === undefined || kind === 'NONE' ? {} : { healthCommand: rest.join(' ') }
}

function buildOf(service: Record<string, unknown>): { build?: BuildConfiguration } {
  const build = toRecord(service.build)
  const context = undoubled(readText(build.context))
  return context === '' ? {} : { build: { context, args: environmentOf(build.args) } }
}

function words(value: unknown): string[] {
  return texts(value).map(undoubled)
}

function environmentOf(value: unknown): Map<string, string> {
  const set = Object.entries(toRecord(value)).filter(([, text]) => text !== null)
  return new Map(set.map(([name, text]) => [name, undoubled(String(text))]))
}

function undoubled(text: string): string {
  return text.replaceAll('$$', '$')
}
