import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeSynced } from '../../atomic-file.js'
import { UsageError } from '../../errors.js'
import type { Config, ConfigChanges } from '../backend.js'
import { readText, records, texts, toRecord } from '../json.js'
import type { HerokuApp } from './app.js'
import { attachmentsOf } from './attachments.js'

/** Which release holds the former values of which variables. */
interface Kept {
  release: string
  names: string[]
}

/** The config vars, written through the Platform API: the CLI would take values as arguments, and print them. */
export class HerokuConfig implements Config {
  readonly where: string
  /** Each change makes a release, for which the platform starts all dynos anew. */
  readonly appliesAtOnce = true
  readonly #app: HerokuApp
  readonly #folder: string

  constructor(app: HerokuApp, folder: string) {
    this.#app = app
    this.#folder = folder
    this.where = `the config vars of ${app.name}`
  }

  running(): Promise<ReadonlyMap<string, string>> {
    return this.stored()
  }

  /** Asked each time: others change them too. */
  async stored(): Promise<ReadonlyMap<string, string>> {
    this.#app.forgetConfig()
    return this.#app.config()
  }

  async own(): Promise<ReadonlyMap<string, string>> {
    const addons = records(await this.#app.api.read(this.#app.path('/addons')))
    const attached = (await attachmentsOf(this.#app)).map(({ name }) => `${name}_URL`)
    const others = new Set([...addons.flatMap(addon => texts(addon.config_vars)), ...attached])
    return new Map([...(await this.stored())].filter(([name]) => !others.has(name)))
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

  /** The platform keeps the config vars of every release; which one it was is noted in the state folder. */
  async keep(key: string, names: readonly string[]): Promise<string> {
    const kept = (await this.#kept(key)) ?? { release: await this.#currentRelease(), names: [...names] }
    if (!this.#app.api.dryRun) {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 })
      // By way of a second name: a half-written note must never count.
      await writeSynced(`${this.#file(key)}.part`, JSON.stringify(kept))
      await rename(`${this.#file(key)}.part`, this.#file(key))
    }
    return `release ${kept.release} of ${this.#app.name} (${this.#app.byHand(['releases:info', kept.release, '--shell'])})`
  }

  async putBack(key: string): Promise<void> {
    const kept = await this.#kept(key)
    if (kept === undefined) return
    const path = this.#app.path(`/releases/${encodeURIComponent(kept.release.slice(1))}/config-vars`)
    const former = toRecord(await this.#app.api.read(path))
    const stored = await this.stored()
    const values = kept.names.map(name => [name, name in former ? readText(former[name]) : null] as const)
    const changed = values.filter(([name, value]) => (stored.get(name) ?? null) !== value)
    if (changed.length > 0) await this.write(Object.fromEntries(changed))
  }

  async forget(key: string): Promise<void> {
    if (!this.#app.api.dryRun) await rm(this.#file(key), { force: true })
  }

  async #holds(changes: ConfigChanges): Promise<boolean> {
    const stored = await this.stored()
    return Object.entries(changes).every(([name, value]) => (stored.get(name) ?? null) === value)
  }

  async #currentRelease(): Promise<string> {
    const [release] = records(await this.#app.api.read(this.#app.path('/releases'), 'version ..; order=desc,max=1'))
    return `v${String(release?.version ?? '')}`
  }

  async #kept(key: string): Promise<Kept | undefined> {
    try {
      return JSON.parse(await readFile(this.#file(key), 'utf8')) as Kept
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  #file(key: string): string {
    return join(this.#folder, `config-${key.replace(/[^\w.-]/g, '_')}.json`)
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
