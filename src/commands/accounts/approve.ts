import { Args } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type ApproveResult, approveAccount, approvedText } from '../../lib/runbooks/accounts/approve.js'

export default class Approve extends ChangeCommand<ApproveResult> {
  static override summary = 'Approve a sign-up that waits for it (Mastodon 2.8 and later).'
  static override description =
    'Looks whether it took effect, and says when the e-mail address is still to be confirmed.'
  static override examples = ['<%= config.bin %> <%= command.id %> alice']
  static override args = {
    user: Args.string({ required: true, description: 'the local name or the e-mail address' }),
  }

  protected override async execute() {
    const { args } = await this.parse(Approve)
    return this.change(approveAccount, { user: args.user })
  }

  protected override achieved(result: ApproveResult): string {
    return approvedText(result)
  }
}
