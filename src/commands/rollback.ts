import { Args, Flags } from '@oclif/core'
import { ChangeCommand, confirmFlag } from '../lib/base-command.js'
import type { RunReport } from '../lib/runbook/run.js'
import type { Kept } from '../lib/runbooks/db/kept.js'
import { mediaText } from '../lib/runbooks/db/restored.js'
import { type RollbackResult, rollback } from '../lib/runbooks/db/rollback.js'
import { type BackResult, upgradeBack } from '../lib/runbooks/upgrade/back/back.js'
import { type DeployedBackResult, deployedBack } from '../lib/runbooks/upgrade/back/deployed/deployed.js'
import { deployedBackOptionsOf } from '../lib/runbooks/upgrade/back/deployed/options.js'
import { deployedBackText } from '../lib/runbooks/upgrade/back/deployed/text.js'
import { backOptionsOf } from '../lib/runbooks/upgrade/back/options.js'
import { targetOf } from '../lib/runbooks/upgrade/back/runs.js'
import { backText } from '../lib/runbooks/upgrade/back/text.js'
import { durationOf } from '../lib/sizes.js'
import { plural } from '../lib/text.js'
import { identityFlag } from './db/verify.js'

type Result = RollbackResult | BackResult | DeployedBackResult

export default class Rollback extends ChangeCommand<Result> {
  static override summary = 'Take an upgrade back, or put the database back that a restore or a reset replaced.'
  static override description =
    `An upgrade: the images of before are put back with their files. After post-deployment migrations that takes the
backup of before as well; what would be lost is counted, and has to be confirmed. On Heroku the former code is put into
force again with the config vars of now, and any migration takes the backup.

A restore or a reset: what was written since is set aside, not lost. The database that was live is kept in turn, and a
second rollback puts it back.`
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 20261122-031500-9a3f --confirm example.social',
  ]
  static override args = {
    run: Args.string({
      description: 'The run that is taken back; the newest one that can be where left out.',
    }),
  }
  static override flags = {
    ...confirmFlag,
    ...identityFlag,
    drain: Flags.string({
      helpValue: 'TIME',
      default: '60s',
      summary: 'How long Sidekiq may work its queues off before it is stopped.',
    }),
  }

  protected override async execute(): Promise<RunReport<Result>> {
    const { args, flags } = await this.parse(Rollback)
    const drainSeconds = Math.round(durationOf('--drain', flags.drain) / 1000)
    const toolbox = await this.toolbox()
    const target = await targetOf(toolbox, args.run)
    if ('kept' in target) return this.#database(target.kept, drainSeconds)
    const said = { drainSeconds, ...(flags.identity === undefined ? {} : { identity: flags.identity }) }
    if ('deployed' in target)
      return this.change(deployedBack, await deployedBackOptionsOf(toolbox, target.deployed, said))
    return this.change(upgradeBack, await backOptionsOf(toolbox, target.upgrade, said))
  }

  #database({ runId, name, addon }: Kept, drainSeconds: number): Promise<RunReport<RollbackResult>> {
    return this.change(rollback, { of: runId, database: name, drainSeconds, ...(addon ? { ordered: true } : {}) })
  }

  protected override achieved(result: Result): string {
    if ('code' in result) return deployedBackText(result)
    return 'to' in result ? backText(result) : databaseText(result)
  }
}

function databaseText({ of, kept, stoppedFor, jobsAside: jobs, goneMedia }: RollbackResult): string {
  const stopped = stoppedFor === null ? [] : [`Mastodon stood still for ${(stoppedFor / 1000).toFixed(1)} s.`]
  const lines = [`The database is again what run ${of} had replaced.`, ...stopped]
  const aside =
    jobs === null || jobs.total === 0
      ? []
      : [`${plural(jobs.total, 'pending job')} of the state that was live: set aside, in ${jobs.file}.`]
  const old = `The one that was live is kept as ${kept}, until mstdn-ops db:discard.`
  return [...lines, old, ...aside, ...mediaText(goneMedia)].join('\n')
}
