import { Args } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type UnsuspendResult, unsuspend, unsuspendedText } from '../../lib/runbooks/moderation/unsuspend.js'

export default class Unsuspend extends ChangeCommand<UnsuspendResult> {
  static override summary = 'End the suspension of an account, and say what does not come back.'
  static override examples = ['<%= config.bin %> <%= command.id %> mallory']
  static override args = {
    account: Args.string({ required: true, description: 'a local name, or name@domain of another server' }),
  }

  protected override async execute() {
    const { args } = await this.parse(Unsuspend)
    return this.change(unsuspend, { account: args.account })
  }

  protected override achieved(result: UnsuspendResult): string {
    return unsuspendedText(result)
  }
}
