import { type Command, Help } from '@oclif/core'

/** oclif's help, with the global flags after the command's own. */
export default class OpsHelp extends Help {
  override formatRoot(): string {
    return `${super.formatRoot()}\n\nEvery changing command takes --dry-run; exit codes and settings: docs/reference.md, docs/configuration.md.`
  }

  protected override get sortedCommands(): Command.Loadable[] {
    return super.sortedCommands.filter(command => !command.hidden)
  }
}
