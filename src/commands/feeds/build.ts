import { Args, Flags } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type OperationResult, withSaid } from '../../lib/runbooks/content/app-operation.js'
import { buildFeeds } from '../../lib/runbooks/content/caches.js'

export default class FeedsBuild extends ChangeCommand<OperationResult> {
  static override summary = 'Build the home feed of a user anew, or those of everybody.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> alice']
  static override args = {
    name: Args.string({ description: 'the local name or the e-mail address; everybody where it is left out' }),
  }
  static override flags = {
    concurrency: Flags.integer({ min: 1, max: 64, summary: 'How many feeds to build at a time (Mastodon 3.0).' }),
    'skip-filled': Flags.boolean({ summary: 'Leave feeds alone that are full already (Mastodon 4.4).' }),
  }

  protected override async execute() {
    const { args, flags } = await this.parse(FeedsBuild)
    const { concurrency } = flags
    return this.change(buildFeeds, { user: args.name, concurrency, skipFilled: flags['skip-filled'] })
  }

  protected override achieved({ said }: OperationResult): string {
    return withSaid('The home feeds are built.', said)
  }
}
