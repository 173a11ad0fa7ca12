import { Args, Flags } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type LimitResult, limit, limitedText } from '../../lib/runbooks/moderation/limit.js'

export default class Limit extends ChangeCommand<LimitResult> {
  static override summary = 'Limit an account, of this server or another: only its followers see its posts.'
  static override description = 'Mastodon called this "silence" in the past. Accounts of the staff are refused.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> mallory@example.com',
    '<%= config.bin %> <%= command.id %> mallory@example.com --lift',
  ]
  static override args = {
    account: Args.string({ required: true, description: 'a local name, or name@domain of another server' }),
  }
  static override flags = { lift: Flags.boolean({ summary: 'Lift the limit.' }) }

  protected override async execute() {
    const { args, flags } = await this.parse(Limit)
    return this.change(limit, { account: args.account, lift: flags.lift })
  }

  protected override achieved(result: LimitResult): string {
    return limitedText(result)
  }
}
