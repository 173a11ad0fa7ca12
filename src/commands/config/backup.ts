import { join, resolve } from 'node:path'
import { Flags } from '@oclif/core'
import { OpsCommand } from '../../lib/base-command.js'
import { humanBytes, plural } from '../../lib/text.js'

interface ConfigBackupResult {
  /** Null in a dry run. */
  path: string | null
  bytes: number
  encrypted: boolean
  variables: number
  /** The files of the configuration that are in it. */
  files: string[]
}

export default class ConfigBackup extends OpsCommand<ConfigBackupResult> {
  static override summary = 'Keep the configuration of the instance in one encrypted file.'
  static override description =
    `All of its variables with their values, and every file that makes the configuration (compose files, env files), byte
for byte, in a tar archive. It is encrypted to backups: recipient (age); without one nothing is written, unless --plain is
given. Only its owner may read it. Changes nothing on the instance.`
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --output /mnt/usb/config.tar.gz.age',
  ]
  static override flags = {
    output: Flags.string({ helpValue: 'FILE', summary: 'Where to write it; in the folder of the backups otherwise.' }),
    plain: Flags.boolean({ summary: 'Do not encrypt it: whoever can read the file has every secret.' }),
  }

  protected override async execute(): Promise<ConfigBackupResult> {
    const { flags } = await this.parse(ConfigBackup)
    const { archiveName, archiveOfConfiguration, sealingOf, writeArchive } = await import(
      '../../lib/backups/configuration/make.js'
    )
    const { storeOf } = await import('../../lib/backups/store.js')
    const toolbox = await this.toolbox()
    const seal = flags.plain ? undefined : await sealingOf(toolbox)
    const name = archiveName(toolbox.clock.now())
    const path = resolve(flags.output ?? join(storeOf(toolbox).dir, `${name}${seal?.suffix ?? ''}`))
    const { about, archive } = await archiveOfConfiguration(toolbox, name.replace(/\.tar\.gz$/, ''))
    const bytes = toolbox.dryRun ? archive.length : await writeArchive(path, archive, seal)
    return {
      path: toolbox.dryRun ? null : path,
      ...{ bytes, encrypted: seal !== undefined, variables: Object.keys(about.variables).length },
      files: about.files.map(file => file.path),
    }
  }

  protected override render({ path, bytes, encrypted, variables, files }: ConfigBackupResult): string {
    const held = [plural(variables, 'variable'), ...(files.length > 0 ? [plural(files.length, 'file')] : [])]
    const head = path === null ? 'Would keep' : `Kept in ${path} (${humanBytes(bytes)}):`
    const clear = 'It is not encrypted: it holds every secret of the instance.'
    return [`${head} ${held.join(' and ')}.`, ...files.map(file => `  ${file}`), ...(encrypted ? [] : [clear])].join(
      '\n',
    )
  }
}
