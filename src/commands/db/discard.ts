import { Args } from '@oclif/core'
import { ChangeCommand, confirmFlag } from '../../lib/base-command.js'
import { type DiscardResult, discard } from '../../lib/runbooks/db/discard.js'
import { priceText } from '../../lib/runbooks/replace/price.js'

export default class Discard extends ChangeCommand<DiscardResult> {
  static override summary = 'Drop the databases that a restore or a reset replaced and kept.'
  static override description =
    'After this, what they held can only come from a backup. A database that the platform runs (Heroku) is destroyed, and costs nothing any more: that needs --confirm DOMAIN.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 20261122-031500-9a3f --yes',
  ]
  static override args = {
    run: Args.string({ description: 'The run whose replaced database goes; all of them where left out.' }),
  }

  static override flags = { ...confirmFlag }

  protected override async execute() {
    const { args } = await this.parse(Discard)
    return this.change(discard, args.run === undefined ? {} : { runId: args.run })
  }

  protected override achieved({ dropped, saved }: DiscardResult): string {
    if (dropped.length === 0) return 'Nothing is kept.'
    return [`Dropped: ${dropped.join(', ')}.`, ...saved.map(price => `That saves ${priceText(price)}.`)].join('\n')
  }
}
