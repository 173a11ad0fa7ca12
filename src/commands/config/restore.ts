import { resolve } from 'node:path'
import { Args, Flags } from '@oclif/core'
import { configurationNamed, openConfiguration } from '../../lib/backups/configuration/open.js'
import { ChangeCommand, confirmFlag } from '../../lib/base-command.js'
import {
  type ConfigDifferences,
  type ConfigRestoreResult,
  configRestore,
  differencesFrom,
  learnSecrets,
} from '../../lib/runbooks/config/restore.js'
import { printableLine } from '../../lib/text.js'

export default class ConfigRestore extends ChangeCommand<ConfigRestoreResult> {
  static override summary = 'Give the variables of the instance the values that a backup of the configuration holds.'
  static override description =
    `What differs is told by name, and never by value. The former configuration is kept until the new one is in force, and
is put back when that fails. A name or secret that data depends on changes only with the domain typed back; one that is not
in the backup stays. Compose files are not written: those that differ are named.`
  static override examples = [
    '<%= config.bin %> <%= command.id %> latest --identity ~/key.txt --dry-run',
    '<%= config.bin %> <%= command.id %> /mnt/usb/config.tar.gz.age --identity ~/key.txt',
  ]
  static override args = {
    file: Args.string({
      required: true,
      description: 'The file, or "latest" for the newest one in the folder of the backups.',
    }),
  }
  static override flags = {
    ...confirmFlag,
    identity: Flags.string({
      helpValue: 'FILE',
      summary: 'The file with the secret key of age, for an encrypted one.',
    }),
  }

  protected override async execute() {
    const { args, flags } = await this.parse(ConfigRestore)
    const toolbox = await this.toolbox()
    const identity = flags.identity === undefined ? undefined : resolve(flags.identity)
    const opened = await openConfiguration(await configurationNamed(toolbox, args.file), identity)
    learnSecrets(toolbox, opened)
    const differences = await differencesFrom(toolbox, opened)
    this.#tell(differences)
    const { set, remove } = differences
    const options = { file: opened.path, sha256: opened.sha256, set, remove, ...(identity && { identity }) }
    return this.change(configRestore, options)
  }

  #tell({ left, files }: ConfigDifferences): void {
    for (const { name, why } of left) this.output.warn(`${printableLine(name)} differs and stays as it is: ${why}.`)
    if (files.length === 0) return
    const names = files.map(printableLine).join(', ')
    this.output.warn(`Not as in the backup, and not written from here: ${names}. ${BY_HAND}`)
  }

  protected override achieved({ where, set, removed, inForce, keptAt }: ConfigRestoreResult): string {
    if (set.length + removed.length === 0) return 'All variables are as in the backup: nothing to do.'
    const force = inForce ? 'and in force' : 'and in force after the next start'
    const done = [
      ...(set.length > 0 ? [`${set.join(', ')} as in the backup`] : []),
      ...(removed.length > 0 ? [`${removed.join(', ')} removed`] : []),
    ]
    const kept = keptAt === null ? '' : `\nThe former configuration is kept in ${keptAt}.`
    return `${done.join('; ')}: in ${where}, ${force}.${kept}`
  }
}

const BY_HAND = 'To compare them, unpack the backup elsewhere: age -d -i KEY FILE | tar xz'
