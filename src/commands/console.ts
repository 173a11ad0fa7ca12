import { OpsCommand } from '../lib/base-command.js'
import { giveTerminal, type TerminalResult, terminalText } from '../lib/runbooks/content/terminal.js'

export default class Console extends OpsCommand<TerminalResult> {
  static override summary = 'Open the Rails console.'
  static override description =
    'The whole app is loaded, which takes some seconds. What is typed there acts on the live server.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  protected override async execute(): Promise<TerminalResult> {
    await this.parse(Console)
    const instead = `mstdn-ops run -- bundle exec rails runner 'puts User.count'`
    const given = await giveTerminal(await this.toolbox(), 'console', { interactive: this.said.interactive, instead })
    this.passThrough(given.exitCode)
    return given.result
  }

  protected override render(result: TerminalResult): string {
    return terminalText(result)
  }
}
