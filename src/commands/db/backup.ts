import { Flags } from '@oclif/core'
import { labelOf } from '../../lib/backups/label.js'
import { PARTS, partsOf } from '../../lib/backups/parts.js'
import { ChangeCommand } from '../../lib/base-command.js'
import { type BackupOptions, type BackupResult, backup } from '../../lib/runbooks/db/backup.js'
import { bytesOf, durationOf } from '../../lib/sizes.js'
import { humanBytes, plural } from '../../lib/text.js'
import { Unwritten } from '../../lib/unwritten.js'

export default class Backup extends ChangeCommand<BackupResult> {
  static override aliases = ['backup']
  static override summary = 'Make a backup, and prove it before it is listed.'
  static override description =
    `The database is dumped from one snapshot and decoded whole on the way; each table's rows are counted by the server
and in the dump, and both must agree. Then the files are read back from the disk. Only a backup that passed all of it
gets its name. Where PostgreSQL's programs are missing here or too old, the platform's own backup is downloaded and
decoded. Media, Redis and the secrets come with it when asked for.`
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --with media,secrets --label before-the-move',
    '<%= config.bin %> <%= command.id %> --if-older-than 24h --quiet',
    '<%= config.bin %> <%= command.id %> --after-command \'restic backup "$MSTDN_BACKUP"\'',
  ]
  static override flags = {
    with: Flags.string({ helpValue: 'PART,…', summary: `What comes with the database: ${PARTS.join(', ')}.` }),
    label: Flags.string({ helpValue: 'TEXT', summary: 'A word of yours that the list shows.' }),
    'if-older-than': Flags.string({
      helpValue: 'AGE',
      summary: 'Do nothing when the newest proven backup is younger, like 24h.',
    }),
    'after-command': Flags.string({
      helpValue: 'LINE',
      summary:
        'Run by sh once the backup is proven; MSTDN_BACKUP is its folder. When it fails, the backup stands and the exit code is 5.',
    }),
    rate: Flags.string({ helpValue: 'SIZE', summary: 'Write at most so much a second, like 20MB.' }),
  }

  protected override async execute() {
    const { flags } = await this.parse(Backup)
    const options: BackupOptions = { with: partsOf(flags.with) }
    if (flags.label !== undefined) options.label = labelOf('--label', flags.label)
    if (flags['after-command'] !== undefined) options.afterCommand = new Unwritten(flags['after-command'])
    if (flags['if-older-than'] !== undefined)
      options.ifOlderThan = durationOf('--if-older-than', flags['if-older-than'])
    if (flags.rate !== undefined) options.bytesPerSecond = bytesOf('--rate', flags.rate)
    return this.change(backup, options)
  }

  protected override achieved({ name, path, bytes, rows, encrypted, leftOut, took }: BackupResult): string {
    if (name === null) return 'No backup was due.'
    const seconds = Object.values(took).reduce((sum, ms) => sum + ms, 0) / 1000
    const counted = rows === null ? [] : [plural(rows, 'row')]
    const lines = [
      `Backup ${name}: ${[humanBytes(bytes), ...counted].join(', ')}, in ${seconds.toFixed(1)} s.`,
      `It is in ${path}.`,
    ]
    return [...lines, ...leftOut, encrypted ? 'It is encrypted.' : CLEAR].join('\n')
  }
}

const CLEAR =
  'It is not encrypted: it holds private posts, keys and password hashes (backups: recipient in mstdn-ops.yaml).'
