import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Args, Flags } from '@oclif/core'
import { type StepBack, stepBackText } from '../../lib/backups/diff.js'
import { namedBackup } from '../../lib/backups/named.js'
import { ChangeCommand, confirmFlag } from '../../lib/base-command.js'
import type { RunReport } from '../../lib/runbook/run.js'
import { backInTime, type RestoreOptions, restore } from '../../lib/runbooks/db/restore.js'
import type { RestoreResult } from '../../lib/runbooks/db/restore-result.js'
import { restoredText } from '../../lib/runbooks/db/restored.js'
import { durationOf } from '../../lib/sizes.js'
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
    source: Args.string({
      required: true,
      description: 'The name of a backup, "latest" (the newest proven one), or the path of its folder or of a dump.',
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
    'replay-jobs': Flags.boolean({
      summary: 'Run the jobs that are pending now, though they belong to the replaced state.',
    }),
    'new-database': Flags.string({
      helpValue: 'PLAN',
      summary: 'Order a second database of this plan from the platform, like essential-1; the price is asked first.',
    }),
    'with-media': Flags.boolean({ summary: 'Put the files of media back, too; none that is there now is removed.' }),
    diff: Flags.boolean({ summary: 'Only count what going back would mean, and change nothing.' }),
    unverified: Flags.boolean({
      summary: 'Take a dump that mstdn-ops did not make, whose content nothing proves; needs --confirm as well.',
    }),
    'keep-old': Flags.string({
      helpValue: 'TIME',
      summary: 'Let the replaced database be dropped after this time, like 7d, by the next daily or db:prune.',
    }),
  }

  protected override async execute(): Promise<RunReport<RestoreResult> & { diff?: StepBack }> {
    const { args, flags } = await this.parse(Restore)
    const common: Common = {
      drainSeconds: Math.round(durationOf('--drain', flags.drain) / 1000),
      replayJobs: flags['replay-jobs'],
      ...(flags.identity === undefined ? {} : { identity: flags.identity }),
      ...(flags['keep-old'] === undefined ? {} : { keepOld: durationOf('--keep-old', flags['keep-old']) }),
      ...(flags['new-database'] === undefined ? {} : { newDatabase: flags['new-database'] }),
    }
    if (await isFile(args.source)) {
      const { backToFile, restoreFile } = await import('../../lib/runbooks/db/restore-file.js')
      if (flags.diff) return this.#compared(await backToFile(await this.toolbox(), args.source, flags.identity))
      return this.change(restoreFile, { ...common, file: resolve(args.source), unverified: flags.unverified })
    }
    // By its path: "latest" may be another one when the run is resumed.
    const backup = await namedBackup(await this.toolbox(), args.source)
    if (flags.diff) return this.#compared(await backInTime(await this.toolbox(), backup, flags.identity))
    return this.change(restore, { ...common, source: backup.path, media: flags['with-media'] })
  }

  #compared(diff: StepBack) {
    return { ...NO_RUN, diff }
  }

  protected override render(report: RunReport<RestoreResult> & { diff?: StepBack }): string {
    if (report.diff === undefined) return super.render(report)
    return stepBackText(report.diff) || 'Nothing has changed since the backup.'
  }

  protected override achieved(result: RestoreResult): string {
    return restoredText(result)
  }
}

type Common = Pick<RestoreOptions, 'drainSeconds' | 'replayJobs' | 'identity' | 'keepOld' | 'newDatabase'>

const NO_RUN = {
  runId: null,
  runbook: 'db:restore',
  dryRun: true,
  steps: [],
  changes: [],
  byHand: [],
  result: null,
  revealed: {},
}

/** A name of the store is no file, unless a file of that name lies here. */
function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    found => found.isFile(),
    () => false,
  )
}
