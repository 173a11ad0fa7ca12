import { Args } from '@oclif/core'
import { ChangeCommand, confirmFlag } from '../../lib/base-command.js'
import { type SuspendResult, suspend, suspendedText } from '../../lib/runbooks/moderation/suspend.js'

export default class Suspend extends ChangeCommand<SuspendResult> {
  static override summary = 'Suspend an account, of this server or another: nothing of it is shown any more.'
  static override description =
    `Posts and follows in both directions are counted first. From Mastodon 3.3 on the data is kept for 30 days, before it is
deleted at once. Accounts of the staff are refused.`
  static override examples = [
    '<%= config.bin %> <%= command.id %> mallory',
    '<%= config.bin %> <%= command.id %> mallory@example.com --confirm example.social',
  ]
  static override args = {
    account: Args.string({ required: true, description: 'a local name, or name@domain of another server' }),
  }
  static override flags = { ...confirmFlag }

  protected override async execute() {
    const { args } = await this.parse(Suspend)
    return this.change(suspend, { account: args.account })
  }

  protected override achieved(result: SuspendResult): string {
    return suspendedText(result)
  }
}
