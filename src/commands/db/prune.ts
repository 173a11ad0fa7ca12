import { Flags } from '@oclif/core'
import { labelOf } from '../../lib/backups/label.js'
import { KEEP } from '../../lib/backups/retention.js'
import { ChangeCommand } from '../../lib/base-command.js'
import { type PruneResult, prune } from '../../lib/runbooks/db/prune.js'
import { humanBytes, plural } from '../../lib/text.js'

const amount = (of: string, by: number) =>
  Flags.integer({ min: 0, max: 10_000, helpValue: 'N', summary: `Of the last N ${of} the last backup stays (${by}).` })

export default class Prune extends ChangeCommand<PruneResult> {
  static override summary = 'Remove the backups that are too old to keep.'
  static override description =
    `Days, weeks and months count when they have a proven backup, in the time zone of this machine. The newest proven
one always stays; what is not proven is left for you to look at. Nothing is removed when the newest attempt to make a
backup failed. What is not said by a flag is as backups.keep in mstdn-ops.yaml has it.`
  static override examples = [
    '<%= config.bin %> <%= command.id %> --dry-run',
    '<%= config.bin %> <%= command.id %> --keep-daily 7 --keep-weekly 4 --keep-monthly 6 --yes',
    '<%= config.bin %> <%= command.id %> --keep-label before-the-move',
  ]
  static override flags = {
    'keep-daily': amount('days', KEEP.daily),
    'keep-weekly': amount('weeks', KEEP.weekly),
    'keep-monthly': amount('months', KEEP.monthly),
    'keep-label': Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'TEXT',
      summary: 'Backups with this label stay; may be given several times.',
    }),
  }

  protected override async execute() {
    const { flags } = await this.parse(Prune)
    const settings = { ...KEEP, ...(await this.toolbox()).instance.backups.keep }
    const keep = {
      daily: flags['keep-daily'] ?? settings.daily,
      weekly: flags['keep-weekly'] ?? settings.weekly,
      monthly: flags['keep-monthly'] ?? settings.monthly,
    }
    return this.change(prune, {
      keep,
      labels: (flags['keep-label'] ?? []).map(label => labelOf('--keep-label', label)),
    })
  }

  protected override achieved({ removed, left }: PruneResult): string {
    if (removed.length === 0) return `Nothing is too old: ${plural(left, 'backup stays', 'backups stay')}.`
    const lines = removed.map(({ name, reason }) => `Removed ${name}: ${reason}.`)
    const freed = removed.reduce((sum, { bytes }) => sum + bytes, 0)
    return [...lines, `${humanBytes(freed)} are free again; ${plural(left, 'backup stays', 'backups stay')}.`].join(
      '\n',
    )
  }
}
