import { Flags } from '@oclif/core'
import { OpsCommand } from '../lib/base-command.js'
import { RefusedError } from '../lib/errors.js'
import type { Availability, AvailableRelease } from '../lib/mastodon/upgrade/available.js'
import type { UpgradePlan } from '../lib/mastodon/upgrade/plan.js'
import { planText } from '../lib/mastodon/upgrade/text.js'
import { plannedUpgrade, refusalOf, updatesFor } from '../lib/runbooks/upgrade/planned.js'
import { tableLayout } from '../lib/tables.js'

type Answer = Availability | { plan: UpgradePlan }

export default class Upgrade extends OpsCommand<Answer> {
  static override summary = 'See which releases of Mastodon are newer, and what an upgrade to one would be.'
  static override description =
    'Changes nothing so far: --check asks for newer releases and ends with 7 when there are some; --dry-run shows the ' +
    'plan, and ends with 3 when something is in its way.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> --check',
    '<%= config.bin %> <%= command.id %> --dry-run',
    '<%= config.bin %> <%= command.id %> --to v4.5.20 --dry-run',
  ]
  static override flags = {
    check: Flags.boolean({
      exclusive: ['to'],
      summary: 'Look for newer releases, and for those that fix security problems.',
    }),
    to: Flags.string({ helpValue: 'VERSION', summary: 'The release to upgrade to; the newest where none is named.' }),
  }

  protected override async execute(): Promise<Answer> {
    const { flags } = await this.parse(Upgrade)
    const toolbox = await this.toolbox()
    if (flags.check) return this.#check(await updatesFor(toolbox))
    const plan = await plannedUpgrade(toolbox, flags.to)
    const refusal = refusalOf(plan)
    if (refusal) {
      if (plan.steps.length > 0 && !this.jsonEnabled()) {
        this.output.info(`${planText({ ...plan, refusals: [] }, this.output.columns)}\n`)
      }
      throw refusal
    }
    if (!toolbox.dryRun && plan.steps.length > 0) throw notBuilt(plan)
    return { plan }
  }

  #check(found: Availability): Availability {
    if (found.available.length > 0) this.badAnswer()
    return found
  }

  protected override async render(answer: Answer): Promise<string> {
    if ('plan' in answer) return planText(answer.plan, this.output.columns)
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

function notBuilt({ from, to }: UpgradePlan): RefusedError {
  return new RefusedError({
    code: 'not-built',
    message: `Upgrading Mastodon ${from} to ${to} is not built yet.`,
    cause: 'This version of mstdn-ops plans upgrades, and does not carry them out.',
    next: `See the plan, and follow it by hand: mstdn-ops upgrade --to ${to} --dry-run`,
  })
}
