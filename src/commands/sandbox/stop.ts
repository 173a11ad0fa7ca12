import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Flags } from '@oclif/core'
import { sandboxDir, sandboxName } from '../../lib/backends/direct/sandbox/index.js'
import { sandboxState, stopSandbox } from '../../lib/backends/direct/sandbox/server.js'
import { OpsCommand } from '../../lib/base-command.js'
import { resolveInstance } from '../../lib/instance.js'
import { runsDir } from '../../lib/paths.js'

interface SandboxStopped {
  dir: string
  /** Whether it ran. */
  ran: boolean
  deleted: boolean
  dryRun: boolean
}

export default class SandboxStop extends OpsCommand<SandboxStopped> {
  static override summary = 'Stop the sandbox; its data stays unless --delete is given.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --delete']
  static override flags = { delete: Flags.boolean({ summary: 'Remove its data as well.' }) }

  protected override async execute(): Promise<SandboxStopped> {
    const { flags } = await this.parse(SandboxStop)
    const instance = await resolveInstance({ instance: flags.instance, backend: 'sandbox' })
    const dir = sandboxDir(instance)
    const { state } = await sandboxState({ dir })
    // A folder without a sandbox in it may be anybody's.
    const deleted = flags.delete && state !== 'absent'
    if (flags['dry-run']) return { dir, ran: state === 'running', deleted, dryRun: true }
    const ran = await stopSandbox({ dir })
    // Its runs tell of data that is no more, and an unfinished one would hold up the next sandbox.
    const gone = deleted ? [dir, dirname(runsDir(sandboxName(instance)))] : []
    for (const folder of gone) await rm(folder, { recursive: true, force: true })
    return { dir, ran, deleted, dryRun: false }
  }

  protected override render({ dir, ran, deleted, dryRun }: SandboxStopped): string {
    if (dryRun)
      return `Dry run: the sandbox in ${dir} ${ran ? 'runs and would be stopped' : 'does not run'}${deleted ? ', and its data would be removed' : ''}.`
    const stopped = ran ? 'The sandbox is stopped.' : 'The sandbox did not run.'
    return deleted ? `${stopped} Its data in ${dir} is removed.` : stopped
  }
}
