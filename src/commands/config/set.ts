import { Args, Flags } from '@oclif/core'
import { ChangeCommand, confirmFlag } from '../../lib/base-command.js'
import { UsageError } from '../../lib/errors.js'
import { isSecretName } from '../../lib/mastodon/secrets.js'
import { assertVariableNames } from '../../lib/runbooks/config/names.js'
import { consentFor, type SetOptions, type SetResult, setRunbook } from '../../lib/runbooks/config/set.js'
import { assertWritable, givenValue } from '../../lib/runbooks/config/value.js'

export default class ConfigSet extends ChangeCommand<SetResult> {
  static override summary = 'Set a variable of the configuration of Mastodon, and put it into force.'
  static override description =
    `The value is asked for, or taken from a pipe or a file; never from the command line, where every user of
this machine could read it. A name or secret that data depends on is changed only with the domain typed back.`
  static override examples = [
    '<%= config.bin %> <%= command.id %> SMTP_PASSWORD',
    'echo smtp.example.org | <%= config.bin %> <%= command.id %> SMTP_SERVER',
    '<%= config.bin %> <%= command.id %> SMTP_PASSWORD --from-file password.txt',
    '<%= config.bin %> <%= command.id %> SINGLE_USER_MODE --unset',
  ]
  static override args = { key: Args.string({ required: true, description: 'the name of the variable' }) }
  static override flags = {
    ...confirmFlag,
    'from-file': Flags.string({ helpValue: 'FILE', exclusive: ['unset'], summary: 'Take the value from a file.' }),
    unset: Flags.boolean({ summary: 'Remove the variable.' }),
    restart: Flags.boolean({
      default: true,
      allowNo: true,
      summary: 'Restart the processes so that it takes effect. A platform that always does so refuses --no-restart.',
    }),
  }

  protected override async execute() {
    const { args, flags } = await this.parse(ConfigSet)
    assertVariableNames([args.key])
    const options = { key: args.key, unset: flags.unset, restart: flags.restart }
    return this.change(setRunbook(flags.unset ? undefined : await this.#value(options, flags['from-file'])), options)
  }

  async #value(options: SetOptions, file: string | undefined): Promise<string> {
    const value = await givenValue(options.key, {
      ...(file === undefined ? {} : { file }),
      interactive: this.said.interactive,
    })
    if (value === undefined) throw await this.#missing(options)
    if (isSecretName(options.key)) this.output.redactor.add(options.key, value)
    assertWritable(options.key, value)
    return value
  }

  /** All that is missing is named at once. */
  async #missing(options: SetOptions): Promise<UsageError> {
    const toolbox = await this.toolbox()
    const consent = await consentFor(toolbox, options, undefined)
    const needsDomain = consent.kind === 'domain' && this.said.confirm === undefined
    const confirm = needsDomain ? ` and --confirm ${await toolbox.app.domain()}` : ''
    return new UsageError({
      code: 'value-missing',
      message: `Missing: a value for ${options.key}${confirm}.`,
      cause: 'Nothing was piped in, and without a terminal nobody can be asked.',
      next: `Pipe the value in, or name a file with --from-file; --unset removes ${options.key}.`,
    })
  }

  protected override achieved({ key, where, change, inForce, keptAt }: SetResult): string {
    const what = {
      set: `${key} is set in ${where}`,
      unset: `${key} is taken out of ${where}`,
      none: `${key} stood so already in ${where}`,
    }
    const force = inForce ? ', and in force.' : `.\n${NOT_IN_FORCE}`
    const copy = keptAt === null ? '' : `\nThe former configuration is kept in ${keptAt}.`
    return `${what[change]}${force}${copy}`
  }
}

const NOT_IN_FORCE = 'It is not in force yet: what runs has the former value. To put it into force: mstdn-ops restart'
