import type { Ledger } from '../../ledger.js'
import { isSecretName } from '../../mastodon/secrets.js'
import type { Output } from '../../output.js'
import type { Runner } from '../../runner.js'
import { shellLine } from '../../text.js'
import { ROLES, type Role } from '../backend.js'
import { readText, records, toRecord } from '../json.js'
import { passwordsIn } from '../urls.js'
import type { PlatformApi } from './platform-api.js'

/** What the adapter needs from the outside. */
export interface HerokuParts {
  runner: Runner
  output: Output
  ledger: Ledger
  /** Makes the end marker of a one-off; random where absent. */
  nonce?: () => string
}

/** A process type of the app. */
export interface ProcessType {
  name: string
  command: string
  quantity: number
  size: string
}

/** A process of the app, one-offs included. */
export interface Dyno {
  id: string
  /** Like `web.1` or `run.1234`. */
  name: string
  type: string
  command: string
  /** `starting`, `up`, `idle`, `crashed` or `down`. */
  state: string
  createdAt: Date
}

/** One app of Heroku with what is known of it: what all facets stand on. */
export class HerokuApp {
  readonly name: string
  readonly api: PlatformApi
  readonly parts: HerokuParts
  readonly #configured: Partial<Record<Role, string[]>>
  #config: Promise<ReadonlyMap<string, string>> | undefined

  constructor(name: string, api: PlatformApi, parts: HerokuParts, roles: Partial<Record<Role, string[]>> = {}) {
    this.name = name
    this.api = api
    this.parts = parts
    this.#configured = roles
  }

  /** Returns the path of a resource of the app. */
  path(resource = ''): string {
    return `/apps/${encodeURIComponent(this.name)}${resource}`
  }

  /** Returns the line that an operator would type. */
  byHand(words: readonly string[]): string {
    const [command = '', ...rest] = words
    return shellLine(['heroku', command, '--app', this.name, ...rest])
  }

  /** Returns the config vars; their secrets are known to the redactor from then on. */
  config(): Promise<ReadonlyMap<string, string>> {
    this.#config ??= this.#readConfig()
    return this.#config
  }

  /** Forgets the config vars: they have changed. */
  forgetConfig(): void {
    this.#config = undefined
  }

  /** Returns what stands before a command: images of Cloud Native Buildpacks set their environment up by a launcher. */
  async launcher(): Promise<string> {
    const { stack } = toRecord(await this.api.read(this.path()))
    return toRecord(stack).name === 'cnb' ? 'launcher ' : ''
  }

  async dynos(): Promise<Dyno[]> {
    return records(await this.api.read(this.path('/dynos'))).map(dynoFrom)
  }

  async processTypes(): Promise<ProcessType[]> {
    return records(await this.api.read(this.path('/formation'))).map(typeFrom)
  }

  /** Returns the role of each process type that has one, as configured, or as its command tells. */
  async roles(types: readonly ProcessType[]): Promise<ReadonlyMap<string, Role>> {
    const config = await this.config()
    const found = new Map<string, Role>()
    for (const type of types) {
      const role = roleOf(type, config)
      if (role !== undefined && this.#configured[role] === undefined) found.set(type.name, role)
    }
    for (const role of ROLES) for (const name of this.#configured[role] ?? []) found.set(name, role)
    return found
  }

  /** Returns the process types of these roles. */
  async typesOf(roles: readonly Role[]): Promise<ProcessType[]> {
    const types = await this.processTypes()
    const known = await this.roles(types)
    return types.filter(type => roles.includes(known.get(type.name) as Role))
  }

  async #readConfig(): Promise<ReadonlyMap<string, string>> {
    const vars = Object.entries(toRecord(await this.api.read(this.path('/config-vars'))))
    const config = new Map(vars.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value] as const] : [])))
    const { redactor } = this.parts.output
    for (const [name, value] of config) {
      if (isSecretName(name)) redactor.add(name, value)
      for (const password of passwordsIn(value)) redactor.add(`password in ${name}`, password)
    }
    return config
  }
}

/** Up to 3.2 `RUN_STREAMING` chose in the Procfile, since then in bin/heroku-web: web is the streaming server then. */
function roleOf({ name, command }: ProcessType, config: ReadonlyMap<string, string>): Role | undefined {
  if (/\bsidekiq\b/.test(command) || (name === 'worker' && !/puma|rails|streaming/.test(command))) return 'sidekiq'
  if (/\bstreaming\b/.test(command) && !/RUN_STREAMING/.test(command)) return 'streaming'
  if (name !== 'web') return undefined
  return config.get('RUN_STREAMING') === 'true' ? 'streaming' : 'web'
}

function dynoFrom(raw: Record<string, unknown>): Dyno {
  return {
    id: readText(raw.id),
    name: readText(raw.name),
    type: readText(raw.type),
    command: readText(raw.command),
    state: readText(raw.state),
    createdAt: new Date(readText(raw.created_at)),
  }
}

function typeFrom(raw: Record<string, unknown>): ProcessType {
  const { quantity } = raw
  return {
    name: readText(raw.type),
    command: readText(raw.command),
    quantity: typeof quantity === 'number' ? quantity : 0,
    size: readText(raw.size),
  }
}
