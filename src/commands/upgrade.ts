import { Flags } from '@oclif/core'
import { confirmFlag, OpsCommand } from '../lib/base-command.js'
import type { Availability, AvailableRelease } from '../lib/mastodon/upgrade/available.js'
import type { UpgradePlan } from '../lib/mastodon/upgrade/plan.js'
import { planText } from '../lib/mastodon/upgrade/text.js'
import { renderReport } from '../lib/report.js'
import type { RunReport } from '../lib/runbook/run.js'
import { optionsOf } from '../lib/runbooks/upgrade/options.js'
import { metByRun, plannedUpgrade, refusalOf, updatesFor } from '../lib/runbooks/upgrade/planned.js'
import { upgradedText } from '../lib/runbooks/upgrade/text.js'
import { type UpgradeResult, upgrade } from '../lib/runbooks/upgrade/upgrade.js'
import { tableLayout } from '../lib/tables.js'

type Answer = Availability | ({ plan: UpgradePlan } & Partial<RunReport<UpgradeResult>>)

export default class Upgrade extends OpsCommand<Answer> {
  static override summary = 'Put a newer release of Mastodon in the place of the installed one.'
  static override description =
    'Where the releases allow it, the old one serves until its processes are started anew: the first migrations run ' +
    'with the new release beside it, the post-deployment ones when the new one was seen to work. Until then a failure ' +
    'leaves the old one serving.\n' +
    '--check asks for newer releases and ends with 7 when there are some; --dry-run shows the plan, and ends with 3 ' +
    'when something is in its way.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> --check',
    '<%= config.bin %> <%= command.id %> --dry-run',
    '<%= config.bin %> <%= command.id %> --to v4.5.20 --dry-run',
    '<%= config.bin %> <%= command.id %> --to v4.5.20',
  ]
  static override flags = {
    check: Flags.boolean({
      exclusive: ['to'],
      summary: 'Look for newer releases, and for those that fix security problems.',
    }),
    to: Flags.string({ helpValue: 'VERSION', summary: 'The release to upgrade to; the newest where none is named.' }),
    'single-phase': Flags.boolean({ summary: 'Stop everything while the migrations run.' }),
    'no-backup': Flags.boolean({ summary: 'Make no backup before; has to be confirmed by the domain.' }),
    ...confirmFlag,
  }

  protected override async execute(): Promise<Answer> {
    const { flags } = await this.parse(Upgrade)
    const toolbox = await this.toolbox()
    if (flags.check) return this.#check(await updatesFor(toolbox))
    const plan = await plannedUpgrade(toolbox, flags.to)
    const refusal = refusalOf(plan, await metByRun(toolbox, plan))
    if (refusal) {
      if (plan.steps.length > 0 && !this.jsonEnabled()) {
        this.output.info(`${planText({ ...plan, refusals: [] }, this.output.columns)}\n`)
      }
      throw refusal
    }
    const carriesOut = toolbox.backend.releases?.change !== undefined
    if (plan.steps.length === 0 || (toolbox.dryRun && !carriesOut)) return { plan }
    const said = { singlePhase: flags['single-phase'], backup: !flags['no-backup'] }
    return { plan, ...(await this.change(upgrade, optionsOf(toolbox, plan, said))) }
  }

  #check(found: Availability): Availability {
    if (found.available.length > 0) this.badAnswer()
    return found
  }

  #planOrReport({ plan, ...report }: Extract<Answer, { plan: UpgradePlan }>): string {
    const planned = planText(plan, this.output.columns)
    if (report.steps === undefined) return planned
    const told = renderReport(report as RunReport<UpgradeResult>, upgradedText)
    return report.dryRun ? `${planned}\n\n${told}` : told
  }

  protected override async render(answer: Answer): Promise<string> {
    if ('plan' in answer) return this.#planOrReport(answer)
    const { installed, available, problem } = answer
    const table = problem === null ? [] : ['The list of the project was not had:', `  ${problem}.`, FROM_TABLE]
    const known = problem === null ? '' : ' that this mstdn-ops knows'
    if (available.length === 0) return [`Mastodon ${installed} is the newest release${known}.`, ...table].join('\n')
    const fixes = available.some(({ security }) => security) ? ', with fixes of security problems' : ''
    const releases = (await tableLayout())(COLUMNS, available, this.output.columns)
    const notes = notesOf(available)
    return [`Newer than Mastodon ${installed}${fixes}:`, ...table, '', releases, ...notes, '', NEXT].join('\n')
  }
}

/** Beside the table, for an address that is cut off leads nowhere. */
function notesOf(available: readonly AvailableRelease[]): string[] {
  const lines = available.flatMap(({ version, notes }) => (notes === null ? [] : [`  ${version}  ${notes}`]))
  return lines.length === 0 ? [] : ['', 'Release notes:', ...lines]
}

const FROM_TABLE = 'So this is what this version of mstdn-ops knew when it was made.'
const NEXT = 'What an upgrade would be: mstdn-ops upgrade --to VERSION --dry-run'
const SECURITY = new Map<boolean | null, string>([
  [true, 'yes'],
  [false, 'no'],
  [null, 'not known'],
])
const COLUMNS = [
  { title: 'RELEASE', value: ({ version }: AvailableRelease) => version },
  { title: 'KIND', value: ({ kind }: AvailableRelease) => kind },
  { title: 'SECURITY', value: ({ security }: AvailableRelease) => SECURITY.get(security) ?? '' },
  { title: 'SUPPORT ENDS', value: ({ supportEnds }: AvailableRelease) => supportEnds ?? 'not known' },
]
