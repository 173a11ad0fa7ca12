import { OpsCommand } from '../lib/base-command.js'
import { giveTerminal, type TerminalResult, terminalText } from '../lib/runbooks/content/terminal.js'

export default class Shell extends OpsCommand<TerminalResult> {
  static override summary = "Open a shell in the app's environment."
  static override description =
    'In the container of the web process, or a process of its own. What is changed outside of its volumes is lost with it.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  protected override async execute(): Promise<TerminalResult> {
    await this.parse(Shell)
    const instead = `mstdn-ops run -- COMMAND`
    const given = await giveTerminal(await this.toolbox(), 'shell', { interactive: this.said.interactive, instead })
    this.passThrough(given.exitCode)
    return given.result
  }

  protected override render(result: TerminalResult): string {
    return terminalText(result)
  }
}
