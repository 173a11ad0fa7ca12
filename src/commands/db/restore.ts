import { Args, Flags } from '@oclif/core'
import { ChangeCommand, confirmFlag } from '../../lib/base-command.js'
import { type RestoreOptions, type RestoreResult, restore } from '../../lib/runbooks/db/restore.js'
import { namedBackup } from '../../lib/runbooks/db/verify.js'
import { durationOf } from '../../lib/sizes.js'
import { plural } from '../../lib/text.js'
import { identityFlag } from './verify.js'

export default class Restore extends ChangeCommand<RestoreResult> {
  static override summary = 'Put the state of a backup in the place of the live database.'
  static override description =
    `The backup is proven first, then restored and compared in a new database while the live one serves. Only then
are web, streaming and Sidekiq stopped and the names of both databases swapped in one transaction. The replaced
database is kept: \`rollback\` puts it back, \`db:discard\` drops it.

Where the platform runs the database (Heroku), a second one is ordered with --new-database and treated likewise. Without
it the instance is closed, the platform makes a safety backup, which goes back by itself when anything fails, and the
database is emptied and filled again.`
  static override examples = [
    '<%= config.bin %> <%= command.id %> latest',
    '<%= config.bin %> <%= command.id %> 20261122-031500-9a3f --confirm example.social',
  ]
  static override args = {
    source: Args.string({ required: true, description: 'The name of a backup, "latest", or the path of its folder.' }),
  }
  static override flags = {
    ...confirmFlag,
    ...identityFlag,
    drain: Flags.string({
      helpValue: 'TIME',
      default: '60s',
      summary: 'How long Sidekiq may work its queues off before it is stopped.',
    }),
    'replay-jobs': Flags.boolean({
      summary: 'Run the jobs that are pending now, though they belong to the replaced state.',
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
    const { args, flags } = await this.parse(Restore)
    const drainSeconds = Math.round(durationOf('--drain', flags.drain) / 1000)
    // By its path: "latest" may be another one when the run is resumed.
    const { path } = await namedBackup(await this.toolbox(), args.source)
    const options: RestoreOptions = { source: path, drainSeconds, replayJobs: flags['replay-jobs'] }
    if (flags['new-database'] !== undefined) options.newDatabase = flags['new-database']
    if (flags.identity !== undefined) options.identity = flags.identity
    if (flags['keep-old'] !== undefined) options.keepOld = durationOf('--keep-old', flags['keep-old'])
    return this.change(restore, options)
  }

  protected override achieved(result: RestoreResult): string {
    const { backup, stateOf, rows, stoppedFor, jobsAside: jobs, feedsBuilt } = result
    const stopped = stoppedFor === null ? [] : [`Mastodon stood still for ${(stoppedFor / 1000).toFixed(1)} s.`]
    return [
      `The instance is in the state of ${stateOf} again (backup ${backup}, ${plural(rows, 'row')}).`,
      ...stopped,
      keptText(result),
      ...(jobs === null || jobs.total === 0
        ? []
        : [`${plural(jobs.total, 'pending job')} of that state: in ${jobs.file}.`]),
      ...(feedsBuilt ? ['The home feeds were built anew.'] : []),
    ].join('\n')
  }
}

function keptText({ kept, keptAs, keptUntil }: RestoreResult): string {
  if (keptAs === 'backup')
    return `The state before is the backup ${kept}, which mstdn-ops db:restore ${kept} puts back.`
  const until = keptUntil === null ? 'until mstdn-ops db:discard' : `until ${keptUntil}`
  return `The replaced database is kept as ${keptAs === 'addon' ? 'the add-on ' : ''}${kept}, ${until}.`
}
