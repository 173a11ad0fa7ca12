import { resolve } from 'node:path'
import { Flags } from '@oclif/core'
import { OpsCommand } from '../lib/base-command.js'
import type { ArchiveFile } from '../lib/support/archive.js'
import { humanBytes } from '../lib/text.js'

interface SupportBundleResult {
  /** Null in a dry run. */
  path: string | null
  files: { name: string; bytes: number }[]
}

export default class SupportBundle extends OpsCommand<SupportBundleResult> {
  static override summary = 'Write one archive to show to others who help, without secrets.'
  static override description =
    'Holds versions, status, doctor, diagnosis, the names of the variables (no value), the last runs and recent logs. ' +
    'Secrets, e-mail and network addresses and tokens are taken out; what people wrote may stand in the logs, so look ' +
    'at it before you send it. The archive is readable by you alone. Changes nothing on the instance.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --output bundle.tar.gz -n 2000',
  ]
  static override flags = {
    output: Flags.string({ helpValue: 'FILE', summary: 'Where to write it; in this folder where it is not said.' }),
    lines: Flags.integer({
      char: 'n',
      min: 1,
      max: 20_000,
      default: 500,
      summary: 'How many of the last lines of each process.',
    }),
    runs: Flags.integer({ min: 0, max: 50, default: 5, summary: 'How many of the last runs.' }),
  }

  protected override async execute(): Promise<SupportBundleResult> {
    const { flags } = await this.parse(SupportBundle)
    const { bundleOf } = await import('../lib/support/bundle.js')
    const { archiveOf, writeNew } = await import('../lib/support/archive.js')
    const toolbox = await this.toolbox()
    const now = toolbox.clock.now()
    const name = `mstdn-ops-support-${now.toISOString().replaceAll(/[-:]/g, '').slice(0, 15)}`
    const path = resolve(flags.output ?? `${name}.tar.gz`)
    let files: ArchiveFile[] = []
    const content = async () => {
      files = await bundleOf(toolbox, flags)
      return archiveOf(name, files, now)
    }
    await (toolbox.dryRun ? content() : writeNew(path, content))
    const sizes = files.map(each => ({ name: each.name, bytes: Buffer.byteLength(each.text) }))
    return { path: toolbox.dryRun ? null : path, files: sizes }
  }

  protected override render({ path, files }: SupportBundleResult): string {
    const head = path === null ? 'Would write an archive with:' : `Wrote ${path} with:`
    const list = files.map(({ name, bytes }) => `  ${name.padEnd(32)} ${humanBytes(bytes)}`)
    const look = path === null ? [] : ['', `Look at it before you send it: tar -xzOf ${path} | less`]
    return [head, ...list, ...look].join('\n')
  }
}
