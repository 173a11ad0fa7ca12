import { ChangeCommand } from '../../lib/base-command.js'
import { type OperationResult, withSaid } from '../../lib/runbooks/content/app-operation.js'
import { clearPush } from '../../lib/runbooks/content/caches.js'

export default class PushClear extends ChangeCommand<OperationResult> {
  static override summary = 'End subscriptions to remote accounts that nobody follows (Mastodon up to 2.5).'
  static override description = 'Later releases do it by themselves or have no such subscriptions; there it says so.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  protected override async execute() {
    await this.parse(PushClear)
    return this.change(clearPush, {})
  }

  protected override achieved({ said }: OperationResult): string {
    return withSaid('Subscriptions that nobody needs are ended.', said)
  }
}
