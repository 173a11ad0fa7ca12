import { ChangeCommand } from '../../lib/base-command.js'
import { type OperationResult, withSaid } from '../../lib/runbooks/content/app-operation.js'
import { clearFeeds } from '../../lib/runbooks/content/caches.js'

export default class FeedsClear extends ChangeCommand<OperationResult> {
  static override summary = 'Clear the home feeds of everybody.'
  static override description = 'No post is lost: a feed is built anew when its owner comes back, or by feeds:build.'
  static override examples = ['<%= config.bin %> <%= command.id %> --yes']

  protected override async execute() {
    await this.parse(FeedsClear)
    return this.change(clearFeeds, {})
  }

  protected override achieved({ said }: OperationResult): string {
    return withSaid('The home feeds are cleared. Build them anew with: mstdn-ops feeds:build', said)
  }
}
