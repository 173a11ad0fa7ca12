import { OpsCommand } from '../lib/base-command.js'
import { readStatus, type Status } from '../lib/status/status.js'
import { statusText } from '../lib/status/text.js'
import { type TableLayout, tableLayout } from '../lib/tables.js'

export default class StatusCommand extends OpsCommand<Status> {
  static override summary = 'Show how the instance is: release, backup, jobs, rows, disk, processes.'
  static override description =
    'The first line holds what matters. What cannot be read is said in a line of its own; for a verdict ask `doctor`.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json']

  #layOut: TableLayout = () => ''
  #now = new Date()

  protected override async execute(): Promise<Status> {
    await this.parse(StatusCommand)
    const toolbox = await this.toolbox()
    this.#layOut = await tableLayout()
    this.#now = toolbox.clock.now()
    return readStatus(toolbox)
  }

  protected override render(status: Status): string {
    return statusText(status, { layOut: this.#layOut, columns: this.output.columns, now: this.#now })
  }
}
