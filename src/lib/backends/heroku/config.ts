import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeSynced } from '../../atomic-file.js'
import { UsageError } from '../../errors.js'
import type { Config, ConfigChanges } from '../backend.js'
import type { HerokuApp } from './app.js'

/** The config vars, written through the Platform API: the CLI would take values as arguments, and print them. */
export class HerokuConfig implements Config {
  readonly where: string
  /** Each change makes a release, for which the platform starts all dynos anew. */
  readonly appliesAtOnce = true
  readonly #app: HerokuApp
  readonly #keptFolder: string

  constructor(app: HerokuApp, keptFolder: string) {
    this.#app = app
    this.#keptFolder = keptFolder
    this.where = `the config vars of ${app.name}`
  }

  running(): Promise<ReadonlyMap<string, string>> {
    return this.stored()
  }

  async stored(): Promise<ReadonlyMap<string, string>> {
    return this.#app.config()
  }

  /** Whether this login may is the platform's to say. */
  async writable(): Promise<void> {}

  /** @throws UsageError for a name that is none; RefusedError with Heroku's reason, as for an add-on's own variables. */
  async write(changes: ConfigChanges): Promise<void> {
    const names = Object.keys(changes)
    const wrong = names.find(name => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    if (wrong !== undefined) throw badName(wrong)
    if (names.length === 0) return
    const change = {
      method: 'PATCH',
      path: this.#app.path('/config-vars'),
      body: changes,
      exact: `${describe(changes)} in ${this.where}`,
      byHand: this.#byHand(changes),
    } as const
    await this.#app.api.change(change, () => this.#holds(changes)).finally(() => this.#app.forgetConfig())
  }

  /** In the state folder, readable by its owner only: the platform keeps no former values but in whole releases. */
  async keep(key: string, names: readonly string[]): Promise<string> {
    const file = this.#file(key)
    if (this.#app.api.dryRun || (await this.#kept(key)) !== undefined) return file
    const stored = await this.stored()
    const former = Object.fromEntries(names.map(name => [name, stored.get(name) ?? null]))
    await mkdir(this.#keptFolder, { recursive: true, mode: 0o700 })
    // By way of a second name: a half-written copy must never count as the kept state.
    await writeSynced(`${file}.part`, JSON.stringify(former, null, 2))
    await rename(`${file}.part`, file)
    return file
  }

  async putBack(key: string): Promise<void> {
    const former = await this.#kept(key)
    if (former === undefined) return
    const stored = await this.stored()
    const changed = Object.entries(former).filter(([name, value]) => (stored.get(name) ?? null) !== value)
    if (changed.length > 0) await this.write(Object.fromEntries(changed))
  }

  async forget(key: string): Promise<void> {
    if (!this.#app.api.dryRun) await rm(this.#file(key), { force: true })
  }

  async #holds(changes: ConfigChanges): Promise<boolean> {
    this.#app.forgetConfig()
    const stored = await this.stored()
    return Object.entries(changes).every(([name, value]) => (stored.get(name) ?? null) === value)
  }

  async #kept(key: string): Promise<ConfigChanges | undefined> {
    try {
      return JSON.parse(await readFile(this.#file(key), 'utf8')) as ConfigChanges
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  #file(key: string): string {
    return join(this.#keptFolder, `config-${key.replace(/[^\w.-]/g, '_')}.json`)
  }

  #byHand(changes: ConfigChanges): string {
    const entries = Object.entries(changes)
    const set = entries.filter(([, value]) => value !== null).map(([name]) => `${name}="$${name}"`)
    const unset = entries.filter(([, value]) => value === null).map(([name]) => name)
    const lines = [
      ...(set.length > 0 ? [`${this.#app.byHand(['config:set'])} ${set.join(' ')}`] : []),
      ...(unset.length > 0 ? [this.#app.byHand(['config:unset', ...unset])] : []),
    ]
    return lines.join(' && ')
  }
}

function describe(changes: ConfigChanges): string {
  return Object.entries(changes)
    .map(([name, value]) => `${value === null ? 'remove' : 'set'} ${name}`)
    .join(', ')
}

function badName(name: string): UsageError {
  return new UsageError({
    code: 'bad-variable-name',
    message: `"${name}" is no name of a variable.`,
    cause: 'Names are made of letters, digits and underscores, and do not begin with a digit.',
  })
}
