import { Args, Flags } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { showOnce } from '../../lib/reveal.js'
import type { RunReport } from '../../lib/runbook/run.js'
import {
  type CreateOptions,
  type CreateResult,
  createAccount,
  createdText,
} from '../../lib/runbooks/accounts/create.js'

export default class Create extends ChangeCommand<CreateResult> {
  static override summary = 'Create an account that can sign in at once, also without a mail server.'
  static override description =
    `It is confirmed and approved in one, whoever may sign up. Mastodon chooses the password: it is shown once and written
nowhere. An account that is there already is left as it is, its password too.`
  static override examples = [
    '<%= config.bin %> <%= command.id %> alice --email alice@example.com --role owner',
    '<%= config.bin %> <%= command.id %> news --email news@example.com --bot',
  ]
  static override args = {
    name: Args.string({ required: true, description: 'the local name, without the domain' }),
  }
  static override flags = {
    email: Flags.string({ required: true, helpValue: 'ADDRESS', summary: 'The e-mail address to sign in with.' }),
    role: Flags.string({
      helpValue: 'ROLE',
      summary: 'A role of this instance, like owner, admin or moderator, by its name.',
    }),
    bot: Flags.boolean({ summary: 'Say in the profile that a program posts by it (Mastodon 2.4 and later).' }),
  }

  #password: string | undefined

  protected override async execute(): Promise<RunReport<CreateResult>> {
    const { args, flags } = await this.parse(Create)
    const { email, role, bot } = flags
    const options: CreateOptions = { username: args.name, email, bot, ...(role === undefined ? {} : { role }) }
    const seen = (password: string) => {
      this.#password = password
    }
    try {
      return await this.change(createAccount(seen), options)
    } finally {
      // Also under --quiet, and where a later step failed: it is shown now or never.
      if (this.#password !== undefined && !this.jsonEnabled()) showOnce(`Password of ${args.name}: ${this.#password}`)
    }
  }

  protected override achieved(result: CreateResult): string {
    return createdText(result)
  }
}
