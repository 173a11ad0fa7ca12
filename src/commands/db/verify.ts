import { Args, Flags } from '@oclif/core'
import { backupToVerify } from '../../lib/backups/named.js'
import { ChangeCommand } from '../../lib/base-command.js'
import { type VerifyResult, verify } from '../../lib/runbooks/db/verify.js'
import { plural } from '../../lib/text.js'

export const identityFlag = {
  identity: Flags.file({ helpValue: 'FILE', summary: 'The file with the secret key of age, for an encrypted backup.' }),
}

export default class Verify extends ChangeCommand<VerifyResult> {
  static override summary = 'Look whether a backup is what its manifest says.'
  static override description =
    `Sizes and checksums of the files are compared, and the dump is decoded and every row counted. With --drill it is
restored into a database of its own, whose rows and schema are compared; that database is dropped. Of an encrypted backup
only the files are compared without --identity. The exit code is 7 when the backup is bad.`
  static override examples = [
    '<%= config.bin %> <%= command.id %> latest',
    '<%= config.bin %> <%= command.id %> 20261122-031500-9a3f --drill',
    '<%= config.bin %> <%= command.id %> /mnt/backups/20261122-031500-9a3f --identity ~/key.txt',
  ]
  static override args = {
    backup: Args.string({
      required: true,
      description: 'The name of a backup, "latest" (the newest one, proven or not), or the path of its folder.',
    }),
  }
  static override flags = {
    ...identityFlag,
    drill: Flags.boolean({ summary: 'Restore it into a database of its own and compare that.' }),
  }

  protected override async execute() {
    const { args, flags } = await this.parse(Verify)
    const identity = flags.identity === undefined ? {} : { identity: flags.identity }
    // By its path: what is found out may make another one "latest".
    const { path } = await backupToVerify(await this.toolbox(), args.backup)
    const report = await this.change(verify, { backup: path, drill: flags.drill, ...identity })
    if (report.result?.ok === false) this.badAnswer()
    return report
  }

  protected override achieved({ name, level, ok, why, sealed, tables, rows }: VerifyResult): string {
    if (!ok) return `The backup ${name} is bad: ${why}`
    if (sealed) return `${name} has the files of its manifest, byte for byte. ${SEALED}`
    const held = `${plural(rows, 'row')} in ${plural(tables, 'table')}`
    return level === 'drilled' ? `${name} restores, with ${held}.` : `${name} is whole: ${held} were decoded.`
  }
}

const SEALED = 'It is encrypted: to decode what is in them, name the secret key with --identity FILE.'
