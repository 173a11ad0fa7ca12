import { ChangeCommand } from '../../lib/base-command.js'
import { type OperationResult, withSaid } from '../../lib/runbooks/content/app-operation.js'
import { clearCache } from '../../lib/runbooks/content/caches.js'

export default class CacheClear extends ChangeCommand<OperationResult> {
  static override summary = "Clear Mastodon's cache."
  static override description = 'What was cached is made anew when it is asked for: the server is slower for a while.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  protected override async execute() {
    await this.parse(CacheClear)
    return this.change(clearCache, {})
  }

  protected override achieved({ said }: OperationResult): string {
    return withSaid('The cache is cleared.', said)
  }
}
