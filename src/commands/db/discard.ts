import { Args } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type DiscardResult, discard } from '../../lib/runbooks/db/discard.js'

export default class Discard extends ChangeCommand<DiscardResult> {
  static override summary = 'Drop the databases that a restore or a reset replaced and kept.'
  static override description = 'After this, what they held can only come from a backup.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 20261122-031500-9a3f --yes',
  ]
  static override args = {
    run: Args.string({ description: 'The run whose replaced database goes; all of them where left out.' }),
  }

  protected override async execute() {
    const { args } = await this.parse(Discard)
    return this.change(discard, args.run === undefined ? {} : { runId: args.run })
  }

  protected override achieved({ dropped }: DiscardResult): string {
    return dropped.length === 0 ? 'Nothing is kept.' : `Dropped: ${dropped.join(', ')}.`
  }
}
