import { Help } from '@oclif/core'

/** oclif's help, closed with where the rest is told. */
export default class OpsHelp extends Help {
  protected override async showRootHelp(): Promise<void> {
    await super.showRootHelp()
    this.log('Every changing command takes --dry-run. Exit codes, settings: docs/reference.md, docs/configuration.md.')
  }
}
