import type { AppCommand, AppOutcome, Backend, OneOff } from '../backends/backend.js'
import { RefusedError } from '../errors.js'
import type { Instance } from '../instance.js'
import type { Output } from '../output.js'
import type { Database } from '../postgres/access.js'
import { commandFor, type OperationId, outcomeOf, type ParamsOf } from './catalogue.js'
import { releasesWithSchema } from './releases.js'
import { MastodonVersion, parseVersionRb } from './version.js'

/** Said by the process that is started in place of one that is no more. */
const NOTHING_FOUND = 'mstdn-ops: nothing carries this key'

export type Verdict = 'done' | 'failed' | 'unclear'

/** What the Mastodon at hand is, and its own commands through the Catalogue. */
export class MastodonApp {
  readonly #instance: Instance
  readonly #backend: Backend
  readonly #database: () => Promise<Database>
  readonly #output: Output
  #version: Promise<MastodonVersion> | undefined
  #config: Promise<ReadonlyMap<string, string>> | undefined

  constructor(parts: { instance: Instance; backend: Backend; database: () => Promise<Database>; output: Output }) {
    this.#instance = parts.instance
    this.#backend = parts.backend
    this.#database = parts.database
    this.#output = parts.output
  }

  /**
   * Returns the version that runs: from the configuration, the app's own lib/mastodon/version.rb (since 1.3.0), the
   * release's label, or the newest release that has the database's schema.
   *
   * @throws RefusedError when none of them tells.
   */
  version(): Promise<MastodonVersion> {
    this.#version ??= this.#findVersion()
    return this.#version
  }

  /** Forgets what was read of the app, after another release or configuration took its place. */
  forget(): void {
    this.#version = undefined
    this.#config = undefined
  }

  /** Returns the domain of the people's names here (LOCAL_DOMAIN). */
  async domain(): Promise<string> {
    if (this.#instance.domain) return this.#instance.domain
    const domain = (await this.config()).get('LOCAL_DOMAIN')
    if (domain) return domain
    throw new RefusedError({
      code: 'domain-unknown',
      message: 'The domain of this instance is not known.',
      cause: 'LOCAL_DOMAIN is not set where Mastodon runs.',
      next: 'Set it with `mstdn-ops config:set LOCAL_DOMAIN`, or write `domain:` in mstdn-ops.yaml.',
    })
  }

  /** Returns the app's environment; empty where the backend has no configuration. */
  config(): Promise<ReadonlyMap<string, string>> {
    this.#config ??= this.#backend.config?.running() ?? Promise.resolve(new Map())
    return this.#config
  }

  /** Returns the one-off facet, or refuses with what to do instead. */
  oneOff(): OneOff {
    if (this.#backend.oneOff) return this.#backend.oneOff
    throw new RefusedError({
      code: 'no-one-off',
      message: `The ${this.#backend.kind} backend cannot run Mastodon's own commands.`,
      cause: `${this.#backend.title} has no Mastodon beside its database.`,
      next: 'Run this against the instance itself, where Mastodon is installed (compose, heroku).',
      ...this.#backend.without?.oneOff,
    })
  }

  /** Returns the app's command for an operation of the Catalogue. @throws UnsupportedVersionError */
  async command<K extends OperationId>(id: K, params: ParamsOf<K>) {
    return commandFor(id, await this.version(), params)
  }

  /**
   * Runs an operation of the Catalogue, with more variables where asked for.
   *
   * @returns what it printed and the verdict of its row: `unclear` asks the caller to look at the result itself.
   * @throws UnsupportedVersionError where this version has no such command; RefusedError without a one-off facet.
   */
  async run<K extends OperationId>(
    id: K,
    params: ParamsOf<K>,
    how: Omit<AppCommand, 'argv'>,
  ): Promise<AppOutcome & { verdict: Verdict }> {
    const command = await this.command(id, params)
    const outcome = await this.oneOff().run({ ...how, argv: command.argv, env: { ...command.env, ...how.env } })
    return { ...outcome, verdict: outcome.planned ? 'done' : outcomeOf(command.row, outcome) }
  }

  /**
   * Follows an operation whose end was not seen to its end, by the key that it carries.
   *
   * @returns how it ended; undefined where no process carries the key any more.
   */
  async found<K extends OperationId>(id: K, params: ParamsOf<K>, longKey: string): Promise<Verdict | undefined> {
    const command = await this.command(id, params)
    // Runs only where nothing carries the key.
    const outcome = await this.oneOff().run({ argv: ['echo', NOTHING_FOUND], effect: 'write', longKey })
    return outcome.stdout.trim() === NOTHING_FOUND ? undefined : outcomeOf(command.row, outcome)
  }

  async #findVersion(): Promise<MastodonVersion> {
    const found =
      (await this.#configuredVersion()) ??
      (await this.#fileVersion()) ??
      (await this.#labelVersion()) ??
      (await this.#schemaVersion())
    if (found) return found
    throw new RefusedError({
      code: 'version-unknown',
      message: `The version of Mastodon in ${this.#backend.title} could not be found.`,
      cause: 'Neither its files, its image tag nor its database schema tell.',
      next: 'Start the web process, or write `mastodon_version:` in mstdn-ops.yaml.',
    })
  }

  async #configuredVersion() {
    return this.#instance.mastodonVersion === undefined
      ? undefined
      : MastodonVersion.parse(this.#instance.mastodonVersion)
  }

  async #fileVersion() {
    if (this.#backend.oneOff === undefined) return undefined
    try {
      const file = await this.#backend.oneOff.run({
        argv: ['cat', 'lib/mastodon/version.rb'],
        effect: 'read',
        ofRelease: true,
      })
      return file.exitCode === 0 ? parseVersionRb(file.stdout) : undefined
    } catch (error) {
      this.#output.debug(`lib/mastodon/version.rb could not be read: ${String(error)}`)
      return undefined
    }
  }

  async #labelVersion() {
    const release = await this.#backend.releases?.current()
    return release === undefined ? undefined : MastodonVersion.parse(release.label)
  }

  async #schemaVersion() {
    if (this.#backend.postgres === undefined) return undefined
    const database = await this.#database()
    const [row] = await database.query<{ newest: string | null }>(
      'SELECT max(version) AS newest FROM schema_migrations',
    )
    const newest = row?.newest ? releasesWithSchema(row.newest).at(-1) : undefined
    return newest && MastodonVersion.parse(newest.last)
  }
}
