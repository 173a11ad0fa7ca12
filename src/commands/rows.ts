import { Flags } from '@oclif/core'
import { OpsCommand } from '../lib/base-command.js'
import { type BudgetJudgement, HEROKU_PLANS, type HerokuPlan, judgeBudget } from '../lib/postgres/budget.js'
import type { RowCounts } from '../lib/postgres/rows.js'
import { bytesOf, percentOf } from '../lib/sizes.js'
import { tableLayout } from '../lib/tables.js'
import { grouped, humanBytes, humanDuration, plural } from '../lib/text.js'

interface RowsAnswer extends RowCounts {
  budget: BudgetJudgement
}

export default class Rows extends OpsCommand<RowsAnswer> {
  static override summary = 'Count the rows of the database, and hold them against a budget.'
  static override description =
    "The estimate is the server's own running count and costs next to nothing; --exact counts every row. Ends with 7 when the budget is exceeded."
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --heroku-plan mini --warn-at 80%',
    '<%= config.bin %> <%= command.id %> --exact --budget-rows 10000 --budget-bytes 1GB',
  ]
  static override flags = {
    exact: Flags.boolean({ summary: 'Count every row instead of estimating.' }),
    'budget-rows': Flags.integer({ min: 1, helpValue: 'N', summary: 'The most rows that there may be.' }),
    'budget-bytes': Flags.string({
      helpValue: 'SIZE',
      summary: 'The largest size on disk that there may be, like 1GB.',
    }),
    'heroku-plan': Flags.option({
      options: Object.keys(HEROKU_PLANS) as HerokuPlan[],
      summary: "A plan's rows and size as the budget.",
    })(),
    'warn-at': Flags.string({ helpValue: '80%', summary: 'Warn from this share of the budget on.' }),
    top: Flags.integer({
      min: 0,
      default: 20,
      helpValue: 'N',
      summary: 'How many tables are shown, the largest first.',
    }),
  }

  #top = 0

  protected override async execute(): Promise<RowsAnswer> {
    const { flags } = await this.parse(Rows)
    const asked = {
      bytes: flags['budget-bytes'] && bytesOf('--budget-bytes', flags['budget-bytes']),
      warnAt: flags['warn-at'] && percentOf('--warn-at', flags['warn-at']),
    }
    const toolbox = await this.toolbox()
    const { rowCounts } = await import('../lib/postgres/rows.js')
    const progress = (done: number, of: number, table: string) => this.output.debug(`${done + 1} of ${of}: ${table}`)
    const counts = await rowCounts(await toolbox.database(), { exact: flags.exact, onProgress: progress })
    const settings = toolbox.instance.budget
    const budget = judgeBudget(counts, {
      rows: flags['budget-rows'] ?? settings.rows,
      bytes: asked.bytes || settings.bytes,
      herokuPlan: flags['heroku-plan'] ?? (settings.herokuPlan as HerokuPlan | undefined),
      warnAt: (asked.warnAt || (settings.warnAt ?? 80)) / 100,
    })
    if (budget.verdict === 'over') this.badAnswer()
    if (budget.verdict === 'warn') this.output.warn(`Warning: ${budget.headline?.text} is close to the budget.`)
    this.#top = flags.top
    return { ...counts, budget }
  }

  protected override async render(answer: RowsAnswer): Promise<string> {
    const { headline, lines } = answer.budget
    const others = lines.filter(line => line.of !== headline?.of).map(line => line.text)
    const total = `${plural(answer.rows, 'row')} in ${plural(answer.tables.length, 'table')}, ${humanBytes(answer.bytes)} on disk`
    const head = headline === undefined ? [total] : [headline.text, ...others, total]
    return [...head, howCounted(answer), ...unknownText(answer), ...(await this.#table(answer))].join('\n')
  }

  async #table({ tables, rows }: RowsAnswer): Promise<string[]> {
    if (this.#top === 0) return []
    const columns = [
      { title: 'TABLE', value: (row: RowsAnswer['tables'][0]) => tableName(row) },
      { title: 'ROWS', value: (row: RowsAnswer['tables'][0]) => countText(row.rows), align: 'right' as const },
      { title: 'SHARE', value: (row: RowsAnswer['tables'][0]) => share(row.rows, rows), align: 'right' as const },
      { title: 'SIZE', value: (row: RowsAnswer['tables'][0]) => humanBytes(row.bytes), align: 'right' as const },
    ]
    const shown = tables.slice(0, this.#top)
    const left = tables.length - shown.length
    const more = left > 0 ? [`… and ${plural(left, 'more table', 'more tables')} (--top ${tables.length}).`] : []
    const layOut = await tableLayout()
    return ['', layOut(columns, shown, this.output.columns), ...more]
  }
}

function tableName({ schema, table }: { schema: string; table: string }): string {
  return schema === 'public' ? table : `${schema}.${table}`
}

function countText(rows: number | undefined): string {
  return rows === undefined ? 'unknown' : grouped(rows)
}

function share(rows: number | undefined, all: number): string {
  return rows === undefined || all === 0 ? '' : `${((rows / all) * 100).toFixed(1)} %`
}

function howCounted({ method, analyzedAt, takenAt }: RowsAnswer): string {
  if (method === 'exact') return "Counted row by row; the server's own catalogs are left out."
  const age = analyzedAt && humanDuration((takenAt.getTime() - analyzedAt.getTime()) / 1000)
  const checked = age === undefined ? 'never checked by the server (ANALYZE)' : `last checked by the server ${age} ago`
  return `Estimated without the server's own catalogs; ${checked}. --exact counts.`
}

function unknownText({ unknown }: RowsAnswer): string[] {
  if (unknown.length === 0) return []
  const names = unknown.slice(0, 3).join(', ') + (unknown.length > 3 ? ', …' : '')
  return [`Not counted, for nobody knows their rows without --exact: ${plural(unknown.length, 'table')} (${names}).`]
}
