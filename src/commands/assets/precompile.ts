import { Flags } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type PrecompileResult, precompile } from '../../lib/runbooks/assets/precompile.js'

export default class AssetsPrecompile extends ChangeCommand<PrecompileResult> {
  static override summary = 'Compile the assets, where what is compiled is kept.'
  static override description =
    'Images from 2.5.0 on bring their assets along: there it is refused, for a one-off container would take what it ' +
    'compiled with it; and where they are compiled at every deployment. It goes on when this process is killed: `resume` finds it again.'
  static override examples = ['<%= config.bin %> <%= command.id %>']
  static override flags = {
    'ignore-memory': Flags.boolean({ summary: 'Start although RAM and swap together are less than 2.5 GB.' }),
  }

  protected override async execute() {
    const { flags } = await this.parse(AssetsPrecompile)
    return this.change(precompile, { ignoreMemory: flags['ignore-memory'] })
  }

  protected override achieved({ manifests }: PrecompileResult): string {
    return `The assets are compiled: ${manifests.join(', ')}.\nThey are used from the next restart on: mstdn-ops restart --role web`
  }
}
