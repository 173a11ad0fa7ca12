import { Flags } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type OperationResult, withSaid } from '../../lib/runbooks/content/app-operation.js'
import { removeMedia } from '../../lib/runbooks/content/media.js'

export default class MediaRemove extends ChangeCommand<OperationResult> {
  static override summary = 'Remove cached media of other servers.'
  static override description =
    'They are fetched again when somebody looks at them. Media of people of this server are never touched.\n' +
    'Flags that this version of Mastodon does not know are refused by name.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> --days 14',
    '<%= config.bin %> <%= command.id %> --prune-profiles --days 30 --dry-run',
  ]
  static override flags = {
    days: Flags.integer({ min: 0, max: 36_500, summary: 'Keep what was fetched in so many days (7 by itself).' }),
    concurrency: Flags.integer({ min: 1, max: 64, summary: 'How many to remove at a time (Mastodon 3.0).' }),
    'prune-profiles': Flags.boolean({
      exclusive: ['remove-headers'],
      summary: 'Avatars and headers of remote accounts, in place of attachments (Mastodon 4.1).',
    }),
    'remove-headers': Flags.boolean({ summary: 'Headers of remote accounts alone (Mastodon 4.1).' }),
    'include-follows': Flags.boolean({ summary: 'Also of accounts that somebody here follows (Mastodon 4.1).' }),
    'keep-interacted': Flags.boolean({ summary: 'Not what somebody here reacted to (Mastodon 4.6).' }),
  }

  protected override async execute() {
    const { flags } = await this.parse(MediaRemove)
    const { days, concurrency } = flags
    return this.change(removeMedia, {
      ...{ days, concurrency },
      pruneProfiles: flags['prune-profiles'],
      removeHeaders: flags['remove-headers'],
      includeFollows: flags['include-follows'],
      keepInteracted: flags['keep-interacted'],
    })
  }

  protected override achieved({ said }: OperationResult): string {
    return withSaid('Cached media are removed.', said)
  }
}
