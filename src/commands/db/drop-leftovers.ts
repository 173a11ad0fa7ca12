import { Args, Flags } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { MastodonVersion } from '../../lib/mastodon/version.js'
import { dropLeftoversRunbook, type LeftoverResult } from '../../lib/runbooks/db/drop-leftovers.js'

export default class DropLeftovers extends ChangeCommand<LeftoverResult> {
  static override summary = 'Drop empty tables and indexes that an attempt to migrate has left.'
  static override description =
    'For a migration that ends with "already exists". Only what a pending migration makes is dropped: a table without a ' +
    'single row, an index that no constraint needs. A backup is made and proven before.'
  static override usage = '<%= command.id %> NAME…'
  static override strict = false
  static override examples = [
    '<%= config.bin %> <%= command.id %> conversations conversation_mutes',
    '<%= config.bin %> <%= command.id %> index_accounts_on_uri',
  ]
  static override args = {
    name: Args.string({
      required: true,
      description: 'the table or the index, as the message of the migration names it',
    }),
  }
  static override flags = {
    to: Flags.string({
      helpValue: 'VERSION',
      summary: 'The release whose migrations are in the way, after an upgrade to it has failed.',
    }),
  }

  protected override async execute() {
    const { argv, flags } = await this.parse(DropLeftovers)
    const release = flags.to === undefined ? {} : { release: MastodonVersion.of(flags.to).toString() }
    return this.change(dropLeftoversRunbook, { names: [...new Set(argv as string[])], ...release })
  }

  protected override achieved({ dropped, definitions, backup }: LeftoverResult): string {
    const lines = [
      `Dropped: ${dropped.join(', ')}. Now: mstdn-ops db:migrate`,
      ...definitions.map(one => `  was: ${one}`),
    ]
    return [...lines, ...(backup === null ? [] : [`The backup of before: ${backup}`])].join('\n')
  }
}
