import { OpsCommand } from '../lib/base-command.js'
import { readStatus, type Status } from '../lib/status/status.js'
import { statusText } from '../lib/status/text.js'
import { tableLayout } from '../lib/tables.js'

export default class StatusCommand extends OpsCommand<Status> {
  static override summary = 'Show how the instance is: release, backup, jobs, rows, disk, processes.'
  static override description =
    'The first line holds what matters. What cannot be read is said in a line of its own; for a verdict ask `doctor`.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json']

  #now = new Date()

  protected override async execute(): Promise<Status> {
    await this.parse(StatusCommand)
    const toolbox = await this.toolbox()
    this.#now = toolbox.clock.now()
    return readStatus(toolbox)
  }

  protected override async render(status: Status): Promise<string> {
    return statusText(status, { layOut: await tableLayout(), columns: this.output.columns, now: this.#now })
  }
}
