import { Args } from '@oclif/core'
import { OpsCommand } from '../lib/base-command.js'
import { type CopyResult, copy, parseCopy } from '../lib/runbooks/content/copy.js'

export default class Cp extends OpsCommand<CopyResult> {
  static override summary = 'Copy a file or a folder into a container, or out of one.'
  static override description =
    'One of the two is a path inside, like web:/opt/mastodon/public/robots.txt. Says when what is copied in would be ' +
    'lost with the container.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> web:/opt/mastodon/public/system ./system',
    '<%= config.bin %> <%= command.id %> robots.txt web:/opt/mastodon/public/robots.txt',
  ]
  static override args = {
    source: Args.string({ required: true, description: 'a path here, or PLACE:/PATH inside' }),
    target: Args.string({ required: true, description: 'a path here, or PLACE:/PATH inside' }),
  }

  protected override async execute(): Promise<CopyResult> {
    const { args } = await this.parse(Cp)
    return copy(await this.toolbox(), parseCopy(args.source, args.target))
  }

  protected override render({ source, target, dryRun, kept, byHand }: CopyResult): string {
    const head = dryRun ? `Would copy ${source} to ${target}.` : `Copied ${source} to ${target}.`
    const lines = byHand.map(line => `  ${line}`)
    const byHandText = ['', dryRun ? 'Would run:' : 'By hand this would have been:', ...lines]
    return [head, ...(kept === false ? [LOST] : []), ...byHandText].join('\n')
  }
}

const LOST =
  "The target is inside of the container's own file system: it is lost when the container is made anew (restart after a change, upgrade)."
