import { ChangeCommand } from '../../lib/base-command.js'
import { type MaintenanceResult, maintenanceOn } from '../../lib/runbooks/maintenance/maintenance.js'

export default class MaintenanceOn extends ChangeCommand<MaintenanceResult> {
  static override summary = 'Show visitors a maintenance page instead of Mastodon.'
  static override description =
    'Where the platform has one. Sidekiq works on, and what other servers send meanwhile is sent again by them later.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  protected override async execute() {
    await this.parse(MaintenanceOn)
    return this.change(maintenanceOn, {})
  }

  protected override achieved({ changed }: MaintenanceResult): string {
    const head = changed ? 'The maintenance mode is on' : 'The maintenance mode was on already'
    return `${head}: visitors see its page. To end it: mstdn-ops maintenance:off`
  }
}
