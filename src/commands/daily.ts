import { Flags } from '@oclif/core'
import { ChangeCommand } from '../lib/base-command.js'
import { type DailyResult, daily } from '../lib/runbooks/daily/daily.js'

const days = (summary: string) => Flags.integer({ min: 1, max: 36_500, helpValue: 'DAYS', summary })

export default class Daily extends ChangeCommand<DailyResult> {
  static override summary = 'Do what Mastodon leaves to its operator: for a timer, once a day.'
  static override description =
    'Up to 1.4.7 that is its daily task; later only what its scheduler does not do. By itself it removes cached media ' +
    'of other servers, which are fetched again when they are looked at, and leaves that out where Mastodon does it.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --media-days 14 --preview-cards-days 180',
  ]
  static override flags = {
    'media-days': days('Remove cached media of other servers older than so many days (7 by itself).'),
    'preview-cards-days': days('Remove images of link previews older than so many days; they may not come back.'),
    'statuses-days': days('Remove posts of other servers that nobody here touched, for good.'),
    'remove-orphans': Flags.boolean({ summary: 'Remove files that no row refers to: slow, reads every file.' }),
    'prune-accounts': Flags.boolean({ summary: 'Remove remote accounts that nobody here ever met.' }),
  }

  protected override async execute() {
    const { flags } = await this.parse(Daily)
    return this.change(daily, {
      mediaDays: flags['media-days'],
      previewCardsDays: flags['preview-cards-days'],
      statusesDays: flags['statuses-days'],
      removeOrphans: flags['remove-orphans'],
      pruneAccounts: flags['prune-accounts'],
    })
  }

  protected override achieved({ version, done, automatic }: DailyResult): string {
    const lines = done.map(({ title, said }) => `${title}: ${said || 'done'}`)
    const head = lines.length === 0 ? ['Nothing was left to do.'] : lines
    if (automatic.length === 0) return head.join('\n')
    return [...head, `Mastodon ${version} removes by itself: ${automatic.join(', ')}.`].join('\n')
  }
}
