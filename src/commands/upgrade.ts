import { Flags } from '@oclif/core'
import type { OwnCommit } from '../lib/backends/release-build.js'
import { confirmFlag, OpsCommand } from '../lib/base-command.js'
import type { Availability } from '../lib/mastodon/upgrade/available.js'
import { availableText } from '../lib/mastodon/upgrade/available-text.js'
import type { UpgradePlan } from '../lib/mastodon/upgrade/plan.js'
import { planText } from '../lib/mastodon/upgrade/text.js'
import { renderReport } from '../lib/report.js'
import type { RunReport } from '../lib/runbook/run.js'
import { chosenRun } from '../lib/runbooks/upgrade/chosen.js'
import type { UpgradeResult } from '../lib/runbooks/upgrade/options.js'
import { metByRun, plannedTo, plannedUpgrade, refusalOf, updatesFor } from '../lib/runbooks/upgrade/planned.js'
import { refNamed } from '../lib/runbooks/upgrade/ref.js'
import { rehearsalOf } from '../lib/runbooks/upgrade/rehearse/chosen.js'
import type { RehearsalOptions, RehearsalResult } from '../lib/runbooks/upgrade/rehearse/options.js'
import { rehearse } from '../lib/runbooks/upgrade/rehearse/rehearse.js'
import { rehearsedText } from '../lib/runbooks/upgrade/rehearse/text.js'
import { apartOf } from '../lib/runbooks/upgrade/rehearse/where.js'
import { upgradedText } from '../lib/runbooks/upgrade/text.js'

type Planned<R extends object> = { plan: UpgradePlan; own?: readonly OwnCommit[] } & Partial<RunReport<R>>
type Answer = Availability | Planned<UpgradeResult> | (Planned<RehearsalResult> & { rehearsed: true })

const TO = '--to v4.5.20'
const EXAMPLES = ['--check', '--dry-run', `${TO} --dry-run`, `${TO} --rehearse`, `${TO} --rehearse --in sandbox`, TO]

export default class Upgrade extends OpsCommand<Answer> {
  static override summary = 'Put a newer release of Mastodon in the place of the installed one.'
  static override description =
    'Where the releases allow it, the old one serves until its processes are started anew: the first migrations run ' +
    'beside it, the post-deployment ones when the new one was seen to work. A failure until then leaves it serving.\n' +
    '--rehearse tries all of it beside the live instance first, and ends with 7 where it would not end well. ' +
    '--check asks for newer releases and ends with 7 when there are some; --dry-run shows the plan, and ends with 3 ' +
    'when something is in its way.'
  static override examples = EXAMPLES.map(words => `<%= config.bin %> <%= command.id %> ${words}`)
  static override flags = {
    check: Flags.boolean({
      exclusive: ['to'],
      summary: 'Look for newer releases, and for those that fix security problems.',
    }),
    to: Flags.string({
      helpValue: 'VERSION',
      summary: 'The release to upgrade to; the newest where none is named. On Heroku also a git ref of the checkout.',
    }),
    rehearse: Flags.boolean({
      exclusive: ['check'],
      summary: 'Migrate a copy of the database with the new release, apart from the instance, and tell what was seen.',
    }),
    fresh: Flags.boolean({
      dependsOn: ['rehearse'],
      summary: 'Rehearse with a new dump rather than the newest backup.',
    }),
    in: Flags.option({
      dependsOn: ['rehearse'],
      options: ['server', 'sandbox'] as const,
      summary: 'Where the copy is: on the live database server, or on one of its own that is thrown away.',
    })(),
    'single-phase': Flags.boolean({ summary: 'Stop everything while the migrations run.' }),
    'no-backup': Flags.boolean({ summary: 'Make no backup before; has to be confirmed by the domain.' }),
    checkout: Flags.string({ helpValue: 'DIR', summary: 'On Heroku: a git checkout of what is deployed.' }),
    rebase: Flags.boolean({ summary: 'On Heroku: put your own commits on top of the release, in place of a merge.' }),
    'discard-local-commits': Flags.boolean({
      summary: 'On Heroku: deploy the release without your own commits; has to be confirmed by the domain.',
    }),
    ...confirmFlag,
  }

  protected override async execute(): Promise<Answer> {
    const { flags } = await this.parse(Upgrade)
    const toolbox = await this.toolbox()
    if (flags.check) return this.#check(await updatesFor(toolbox))
    if (flags.rehearse) apartOf(toolbox)
    const ref = await refNamed(toolbox, flags.to, flags.checkout)
    const plan = await (ref ? plannedTo(toolbox, ref) : plannedUpgrade(toolbox, flags.to))
    const refusal = refusalOf(plan, await metByRun(toolbox, plan))
    if (refusal) throw this.#beside(plan, refusal)
    const said = { singlePhase: flags['single-phase'], backup: !flags['no-backup'] }
    if (plan.steps.length === 0) return { plan }
    if (flags.rehearse) return this.#rehearse(plan, await rehearsalOf(toolbox, plan, { ...said, ...flags }))
    const { checkout, rebase, 'discard-local-commits': discard } = flags
    const chosen = await chosenRun(toolbox, plan, { ...said, checkout, rebase, discard, ref }).catch(error => {
      throw toolbox.dryRun ? this.#beside(plan, error) : error
    })
    if (chosen === undefined) return { plan }
    const { runbook, options, own } = chosen
    return { plan, ...(own && { own }), ...(await this.change(runbook, options)) }
  }

  /** Shows the plan in front of what is in its way. */
  #beside(plan: UpgradePlan, refusal: unknown): unknown {
    if (plan.steps.length > 0 && !this.jsonEnabled()) {
      this.output.info(`${planText({ ...plan, refusals: [] }, this.output.columns)}\n`)
    }
    return refusal
  }

  async #rehearse(plan: UpgradePlan, options: RehearsalOptions) {
    const report = await this.change(rehearse, options)
    if (report.result?.ok === false) this.badAnswer()
    return { plan, rehearsed: true as const, ...report }
  }

  #check(found: Availability): Availability {
    if (found.available.length > 0) this.badAnswer()
    return found
  }

  #planOrReport({ plan, ...report }: Extract<Answer, { plan: UpgradePlan }>): string {
    const planned = planText(plan, this.output.columns)
    if (report.steps === undefined) return planned
    if ('rehearsed' in report) return renderReport(report as RunReport<RehearsalResult>, rehearsedText)
    const told = renderReport(report as RunReport<UpgradeResult>, upgradedText)
    return report.dryRun ? `${planned}\n\n${told}` : told
  }

  protected override async render(answer: Answer): Promise<string> {
    return 'plan' in answer ? this.#planOrReport(answer) : availableText(answer, this.output.columns)
  }
}
