import { Args } from '@oclif/core'
import type { ProcessSize } from '../lib/backends/backend.js'
import { OpsCommand } from '../lib/base-command.js'
import { renderReport } from '../lib/report.js'
import type { RunReport } from '../lib/runbook/run.js'
import { amountsIn } from '../lib/runbooks/scale/amounts.js'
import { formationOf, type ScaleResult, scale, sizesText } from '../lib/runbooks/scale/scale.js'

type Scaled = { sizes: ProcessSize[] } | RunReport<ScaleResult>

export default class Scale extends OpsCommand<Scaled> {
  static override strict = false
  static override summary = 'Show how many processes of each type run, or change it.'
  static override description =
    'Where the platform keeps the number. Done when as many run; what is left without a process is said.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> web=1 worker=2',
  ]
  static override args = {
    amount: Args.string({ description: 'a process type and how many, like web=2; several may be given' }),
  }

  protected override async execute(): Promise<Scaled> {
    const { argv } = await this.parse(Scale)
    const amounts = amountsIn(argv as string[])
    if (amounts.length > 0) return this.change(scale, { amounts })
    return { sizes: await formationOf(await this.toolbox()).sizes() }
  }

  protected override render(scaled: Scaled): string {
    if (!('runbook' in scaled)) return sizesText(scaled.sizes)
    return renderReport(scaled, ({ sizes, changed }) =>
      changed ? `Running: ${sizesText(sizes)}.` : `As many ran already: ${sizesText(sizes)}.`,
    )
  }
}
