import { Flags } from '@oclif/core'
import { ChangeCommand, confirmFlag } from '../../lib/base-command.js'
import { DROPPABLE_GROUPS } from '../../lib/mastodon/identity.js'
import { type ResetOptions, type ResetResult, reset } from '../../lib/runbooks/db/reset.js'
import { resetText } from '../../lib/runbooks/db/reset-text.js'
import { baselineNamed } from '../../lib/runbooks/db/reset-to.js'
import { durationOf } from '../../lib/sizes.js'
import { identityFlag } from './verify.js'

/** Without these nobody could administer the result, which is refused. */
const NEEDED = ['users', 'roles']
const DROPPABLE = DROPPABLE_GROUPS.filter(group => !NEEDED.includes(group))

export default class Reset extends ChangeCommand<ResetResult> {
  static override summary = 'Begin anew with an empty database, or an earlier backup, that keeps the identity.'
  static override description =
    `Posts, media and notifications go. Every account keeps its id, name, URI and keys, so that other servers go on
knowing it, and people keep their follows, settings, roles, blocks, apps and tokens. Secrets, VAPID keys and
single-user mode are configuration, which is not touched.

A backup is made and proven first. The empty database is made beside the live one; only then are web, streaming and
Sidekiq stopped, what is kept is copied and compared, and the names of both databases are swapped in one transaction.
The replaced database is kept: \`rollback\` puts it back, \`db:discard\` drops it.

Where the platform runs the database (Heroku), the new one is ordered with --new-database. Without it the one database is
emptied while the instance is closed, what is kept is written down on this machine before and put into it again, and the
backup goes back by itself if anything fails.

With --to the new database is not empty: it has the posts of an earlier backup. Accounts, keys, follows, settings and
the other lists are as they are now; who was suspended or blocked since, or deleted here, does not come back.`
  static override examples = [
    '<%= config.bin %> <%= command.id %> --dry-run',
    '<%= config.bin %> <%= command.id %> --confirm example.social',
    '<%= config.bin %> <%= command.id %> --to 20261122-031500-9a3f --confirm example.social',
    '<%= config.bin %> <%= command.id %> --drop tokens,moderation --confirm example.social',
  ]
  static override flags = {
    ...confirmFlag,
    ...identityFlag,
    empty: Flags.boolean({ summary: 'Begin with an empty database: the default.', exclusive: ['to'] }),
    to: Flags.string({
      helpValue: 'BACKUP',
      summary: 'Begin with the posts of this backup: its name, "latest", or the path of its folder.',
    }),
    drop: Flags.string({
      helpValue: 'GROUP,…',
      summary: `Do not keep these: ${DROPPABLE.join(', ')}.`,
    }),
    'without-follows': Flags.boolean({
      summary: 'Do not keep who follows whom: followers on other servers silently stop receiving posts.',
    }),
    drain: Flags.string({
      helpValue: 'TIME',
      default: '60s',
      summary: 'How long Sidekiq may work its queues off before it is stopped.',
    }),
    'new-database': Flags.string({
      helpValue: 'PLAN',
      summary: 'Order a second database of this plan from the platform, like essential-1; the price is asked first.',
    }),
    'keep-old': Flags.string({
      helpValue: 'TIME',
      summary: 'Let the replaced database be dropped after this time, like 7d, by the next daily or db:prune.',
    }),
  }

  protected override async execute() {
    const { flags } = await this.parse(Reset)
    const options: ResetOptions = {
      drop: (flags.drop ?? '').split(',').filter(Boolean),
      withoutFollows: flags['without-follows'],
      drainSeconds: Math.round(durationOf('--drain', flags.drain) / 1000),
    }
    if (flags.to !== undefined) options.to = await baselineNamed(await this.toolbox(), flags.to)
    if (flags.identity !== undefined) options.identity = flags.identity
    if (flags['new-database'] !== undefined) options.newDatabase = flags['new-database']
    if (flags['keep-old'] !== undefined) options.keepOld = durationOf('--keep-old', flags['keep-old'])
    return this.change(reset, options)
  }

  protected override achieved(result: ResetResult): string {
    return resetText(result)
  }
}
