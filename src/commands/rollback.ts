import { Args, Flags } from '@oclif/core'
import { ChangeCommand, confirmFlag } from '../lib/base-command.js'
import { theKept } from '../lib/runbooks/db/kept.js'
import { mediaText } from '../lib/runbooks/db/restored.js'
import { type RollbackResult, rollback } from '../lib/runbooks/db/rollback.js'
import { durationOf } from '../lib/sizes.js'
import { plural } from '../lib/text.js'

export default class Rollback extends ChangeCommand<RollbackResult> {
  static override summary = 'Put the database back that a restore or a reset replaced.'
  static override description =
    `What was written since is set aside, not lost: the database that was live is kept in turn, and a second rollback
puts it back.`
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 20261122-031500-9a3f --confirm example.social',
  ]
  static override args = {
    run: Args.string({
      description: 'The run that is taken back; the newest one that kept a database where left out.',
    }),
  }
  static override flags = {
    ...confirmFlag,
    drain: Flags.string({
      helpValue: 'TIME',
      default: '60s',
      summary: 'How long Sidekiq may work its queues off before it is stopped.',
    }),
  }

  protected override async execute() {
    const { args, flags } = await this.parse(Rollback)
    const drainSeconds = Math.round(durationOf('--drain', flags.drain) / 1000)
    const { runId, name, addon } = await theKept(await this.toolbox(), args.run)
    return this.change(rollback, { of: runId, database: name, drainSeconds, ...(addon ? { ordered: true } : {}) })
  }

  protected override achieved({ of, kept, stoppedFor, jobsAside: jobs, goneMedia }: RollbackResult): string {
    const stopped = stoppedFor === null ? [] : [`Mastodon stood still for ${(stoppedFor / 1000).toFixed(1)} s.`]
    const lines = [`The database is again what run ${of} had replaced.`, ...stopped]
    const aside =
      jobs === null || jobs.total === 0
        ? []
        : [`${plural(jobs.total, 'pending job')} of the state that was live: set aside, in ${jobs.file}.`]
    const old = `The one that was live is kept as ${kept}, until mstdn-ops db:discard.`
    return [...lines, old, ...aside, ...mediaText(goneMedia)].join('\n')
  }
}
