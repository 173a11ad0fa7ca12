import { Flags } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type OperationResult, withSaid } from '../../lib/runbooks/content/app-operation.js'
import { refreshMedia, validRefresh } from '../../lib/runbooks/content/media.js'

const sources = ['account', 'domain', 'status']

export default class MediaRefresh extends ChangeCommand<OperationResult> {
  static override summary = 'Fetch media of other servers again.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> --account someone@example.com',
    '<%= config.bin %> <%= command.id %> --domain example.com --days 7',
  ]
  static override flags = {
    account: Flags.string({ exactlyOne: sources, summary: 'Of this account.' }),
    domain: Flags.string({ summary: 'Of all accounts of this domain.' }),
    status: Flags.string({ helpValue: 'ID', summary: 'Of the post with this number here.' }),
    force: Flags.boolean({ summary: 'Also those that are there already (Mastodon 3.0.1).' }),
    days: Flags.integer({ min: 1, max: 36_500, summary: 'Of posts of the last days only (Mastodon 4.0).' }),
  }

  protected override async execute() {
    const { flags } = await this.parse(MediaRefresh)
    const { account, domain, status, force, days } = flags
    return this.change(refreshMedia, validRefresh({ account, domain, status, force, days }))
  }

  protected override achieved({ said }: OperationResult): string {
    return withSaid('The media are fetched.', said)
  }
}
