import { Flags } from '@oclif/core'
import { OpsCommand } from '../lib/base-command.js'
import { type ReleaseLine, releaseLines } from '../lib/status/releases.js'
import { tableLayout } from '../lib/tables.js'

interface ReleaseList {
  releases: ReleaseLine[]
}

export default class Releases extends OpsCommand<ReleaseList> {
  static override summary = 'List what was put into force: code and configuration, the newest first.'
  static override description = 'Where no list is kept, the release that runs is shown alone.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> -n 50']
  static override flags = {
    lines: Flags.integer({ char: 'n', min: 1, max: 1000, default: 15, summary: 'How many are shown.' }),
  }

  protected override async execute(): Promise<ReleaseList> {
    const { flags } = await this.parse(Releases)
    return { releases: await releaseLines(await this.toolbox(), flags.lines) }
  }

  protected override async render({ releases }: ReleaseList): Promise<string> {
    if (releases.length === 0) return 'No release is known.'
    const columns = [
      { title: 'RELEASE', value: ({ label, current }: ReleaseLine) => (current ? `${label} (current)` : label) },
      { title: 'WHEN', value: ({ at }: ReleaseLine) => at?.slice(0, 19).replace('T', ' ') ?? 'not known' },
      { title: 'WHO', value: ({ user }: ReleaseLine) => user ?? 'not known' },
      { title: 'WHAT', value: ({ description }: ReleaseLine) => description ?? '' },
    ]
    return (await tableLayout())(columns, releases, this.output.columns)
  }
}
