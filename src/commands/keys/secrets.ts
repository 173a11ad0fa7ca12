import { Flags } from '@oclif/core'
import { OpsCommand } from '../../lib/base-command.js'
import { OperatorError, UsageError } from '../../lib/errors.js'
import { resolveInstance } from '../../lib/instance.js'
import { releaseNamed, standingIn, standingOf } from '../../lib/keys/standing.js'
import { newSecrets, planSecrets, type Standing } from '../../lib/mastodon/new-secrets.js'
import type { MastodonVersion } from '../../lib/mastodon/version.js'
import { showOnce } from '../../lib/reveal.js'
import { plural } from '../../lib/text.js'

interface SecretsResult {
  version: string
  /** Whether an instance was there to look at. */
  instance: boolean
  /** Set already; not printed. */
  set: string[]
  made: string[]
  /** Neither set nor made, and why. */
  left: { name: string; why: string }[]
}

export default class Secrets extends OpsCommand<SecretsResult> {
  static override summary = 'Print new secrets, as lines of an env file: those that the instance has not got.'
  static override description =
    `They are made on this machine, in the form that Mastodon's own commands give them, and stored nowhere. What is set
is neither replaced nor printed. Without an instance, all that a release needs is printed: --for names it. Lines go to
stdout, and all else to stderr.`
  static override examples = [
    '<%= config.bin %> <%= command.id %> --for 4.5.3 >> .env.production',
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --for 4.7.4 --json',
  ]
  static override flags = {
    for: Flags.string({ helpValue: 'VERSION', summary: 'The release that needs them; the installed one otherwise.' }),
  }

  #made: Record<string, string> = {}

  protected override async execute(): Promise<SecretsResult> {
    const { flags } = await this.parse(Secrets)
    const named = flags.for === undefined ? undefined : releaseNamed(flags.for)
    const { version, standing, instance } = await this.#look(named, flags['project-dir'])
    const { set, make, left } = planSecrets(version, standing)
    this.#made = newSecrets(make, standing.stored)
    const result = { version: version.toString(), instance, set, made: Object.keys(this.#made), left }
    this.#remind(result)
    if (!this.jsonEnabled() && result.made.length > 0) showOnce(linesOf(this.#made))
    return result
  }

  async #look(named: MastodonVersion | undefined, dir: string | undefined): Promise<Found> {
    try {
      const toolbox = await this.toolbox()
      const standing = await standingOf(toolbox)
      return { version: named ?? (await toolbox.app.version()), standing, instance: true }
    } catch (error) {
      if (!(error instanceof OperatorError) || error.code !== 'no-instance-found') throw error
      const { projectDirGiven, projectDir } = await resolveInstance(dir === undefined ? {} : { projectDir: dir })
      // Whoever names one means one: all secrets anew would take the place of those that it has.
      if (projectDirGiven) throw error
      if (named === undefined) throw versionMissing(error)
      return { version: named, standing: await standingIn(projectDir), instance: false }
    }
  }

  #remind({ version, instance, set, made, left }: SecretsResult): void {
    for (const { name, why } of left) this.output.warn(`${name} is not set, and is not made. ${why}`)
    this.output.info(
      made.length === 0
        ? `No secret of Mastodon ${version} is made: ${set.length} are set.`
        : `${plural(made.length, 'secret')} for Mastodon ${version}, stored nowhere by this command. ${instance ? FORMER : KEEP}`,
    )
  }

  protected override render(): string {
    return ''
  }

  protected override toSuccessJson(result: unknown): unknown {
    return { ...(result as object), revealed: this.#made }
  }
}

interface Found {
  version: MastodonVersion
  standing: Standing
  instance: boolean
}

const KEEP = 'Keep them, also apart from this machine.'
const FORMER =
  'If this instance ever ran with other values, put those back instead: what was sealed with them opens with no new one.'

function linesOf(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')
}

function versionMissing(error: OperatorError): UsageError {
  return new UsageError({
    code: 'version-missing',
    message: 'Missing: --for VERSION, the release that needs the secrets.',
    cause: `${error.message} So no release can be asked.`,
    next: 'mstdn-ops keys:secrets --for 4.5.3',
  })
}
