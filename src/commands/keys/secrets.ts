import { Flags } from '@oclif/core'
import { OpsCommand } from '../../lib/base-command.js'
import { lookFor, releaseNamed } from '../../lib/keys/standing.js'
import { newSecrets, planSecrets } from '../../lib/mastodon/new-secrets.js'
import { renderReport } from '../../lib/report.js'
import { showOnce } from '../../lib/reveal.js'
import type { RunReport } from '../../lib/runbook/run.js'
import { type SetSecretsResult, setSecrets } from '../../lib/runbooks/keys/secrets.js'
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

export default class Secrets extends OpsCommand<SecretsResult | RunReport<SetSecretsResult>> {
  static override summary = 'Make new secrets: those that a release needs and the instance has not got.'
  static override description =
    `They are made on this machine, in the form that Mastodon's own commands give them, and printed as lines of an env
file: lines go to stdout, and all else to stderr. What is set is neither replaced nor printed. Without an instance, all that
a release needs is printed: --for names it. With --set they are stored in the instance instead, and not printed.`
  static override examples = [
    '<%= config.bin %> <%= command.id %> --for 4.5.3 >> .env.production',
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --set',
  ]
  static override flags = {
    for: Flags.string({ helpValue: 'VERSION', summary: 'The release that needs them; the installed one otherwise.' }),
    set: Flags.boolean({ summary: 'Store them in the instance, and restart so that they take effect.' }),
  }

  #made: Record<string, string> = {}

  protected override async execute(): Promise<SecretsResult | RunReport<SetSecretsResult>> {
    const { flags } = await this.parse(Secrets)
    const named = flags.for === undefined ? undefined : releaseNamed(flags.for)
    const open = () => this.toolbox()
    const { version, standing, instance } = await lookFor(open, named, flags['project-dir'])
    const { set, make, left } = planSecrets(version, standing)
    for (const { name, why } of left) this.output.warn(`${name} is not set, and is not made. ${why}`)
    const names = make.map(({ name }) => name)
    if (flags.set) return this.change(setSecrets, { names, version: version.toString() })
    this.#made = newSecrets(make, standing.stored)
    const result = { version: version.toString(), instance, set, made: names, left }
    this.output.info(reminderOf(result))
    if (!this.jsonEnabled() && names.length > 0) showOnce(linesOf(this.#made))
    return result
  }

  protected override render(result: SecretsResult | RunReport<SetSecretsResult>): string {
    return 'steps' in result ? renderReport(result, achieved) : ''
  }

  protected override toSuccessJson(result: unknown): unknown {
    const made = Object.keys(this.#made).length > 0
    return made ? { ...(result as object), revealed: this.#made } : result
  }
}

const KEEP = 'Keep them, also apart from this machine.'
const FORMER =
  'If this instance ever ran with other values, put those back instead: what was sealed with them opens with no new one.'

function reminderOf({ version, instance, set, made }: SecretsResult): string {
  if (made.length === 0) return `No secret of Mastodon ${version} is made: ${set.length} are set.`
  return `${plural(made.length, 'secret')} for Mastodon ${version}, stored nowhere by this command. ${instance ? FORMER : KEEP}`
}

function achieved({ made, where, inForce }: SetSecretsResult): string {
  if (made.length === 0) return 'No secret is missing: nothing to do.'
  return `${made.join(', ')}: new in ${where}, ${inForce ? 'and in force' : 'and in force after the next start'}. Keep them with the backups.`
}

function linesOf(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')
}
