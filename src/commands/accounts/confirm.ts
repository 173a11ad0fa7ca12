import { Args, Flags } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type ConfirmResult, confirm, confirmedText } from '../../lib/runbooks/accounts/confirm.js'

export default class Confirm extends ChangeCommand<ConfirmResult> {
  static override summary = "Confirm a user's e-mail address without a mail."
  static override description =
    'Looks whether it took effect, and says when the sign-up still waits for approval; --approve gives that too.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> alice',
    '<%= config.bin %> <%= command.id %> alice@example.com --approve',
  ]
  static override args = {
    user: Args.string({ required: true, description: 'the local name or the e-mail address' }),
  }
  static override flags = {
    approve: Flags.boolean({ summary: 'Approve the sign-up as well (Mastodon 2.8 and later).' }),
  }

  protected override async execute() {
    const { args, flags } = await this.parse(Confirm)
    return this.change(confirm, { user: args.user, approve: flags.approve })
  }

  protected override achieved(result: ConfirmResult): string {
    return confirmedText(result)
  }
}
