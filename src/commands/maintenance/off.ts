import { ChangeCommand } from '../../lib/base-command.js'
import { type MaintenanceResult, maintenanceOff } from '../../lib/runbooks/maintenance/maintenance.js'

export default class MaintenanceOff extends ChangeCommand<MaintenanceResult> {
  static override summary = 'End the maintenance mode: visitors reach Mastodon again.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  protected override async execute() {
    await this.parse(MaintenanceOff)
    return this.change(maintenanceOff, {})
  }

  protected override achieved({ changed }: MaintenanceResult): string {
    return changed ? 'The maintenance mode is off: visitors reach Mastodon.' : 'The maintenance mode was off already.'
  }
}
