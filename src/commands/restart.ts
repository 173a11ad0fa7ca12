import { Flags } from '@oclif/core'
import { ROLES } from '../lib/backends/backend.js'
import { ChangeCommand } from '../lib/base-command.js'
import { type RestartResult, restart } from '../lib/runbooks/restart/restart.js'

export default class Restart extends ChangeCommand<RestartResult> {
  static override summary = "Restart Mastodon's processes with the configuration as it is stored now."
  static override description =
    'Containers whose configuration changed are recreated, for a plain restart does not read it again. Database and ' +
    'Redis are left alone. Done when every process runs and is healthy.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --role sidekiq',
  ]
  static override flags = {
    role: Flags.option({ options: ROLES, multiple: true, summary: 'Only these; may be given more than once.' })(),
  }

  protected override async execute() {
    const { flags } = await this.parse(Restart)
    return this.change(restart, { roles: flags.role ?? [] })
  }

  protected override achieved({ processes }: RestartResult): string {
    return processes.map(({ name, role, health }) => `${name} (${role}): started anew, ${HEALTH[health]}`).join('\n')
  }
}

const HEALTH = {
  healthy: 'running and healthy',
  unhealthy: 'unhealthy',
  starting: 'running, its health check goes on',
  none: 'running (it has no health check)',
} as const
