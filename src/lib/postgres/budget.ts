import { grouped } from '../text.js'

const GB = 1_000_000_000

/** What a database plan allows. */
export interface Budget {
  rows?: number
  bytes?: number
}

/**
 * Heroku's plans: mini and basic by rows and size (legacy, sold until 2024), essential by size alone. A GB is taken as
 * 10⁹ bytes, the smaller reading, so that the warning never comes too late.
 */
export const HEROKU_PLANS = {
  mini: { rows: 10_000, bytes: GB },
  basic: { rows: 10_000_000, bytes: 10 * GB },
  'essential-0': { bytes: GB },
  'essential-1': { bytes: 10 * GB },
  'essential-2': { bytes: 32 * GB },
} as const satisfies Record<string, Budget>

export type HerokuPlan = keyof typeof HEROKU_PLANS

export type Verdict = 'within' | 'warn' | 'over'

export interface BudgetOptions extends Budget {
  herokuPlan?: HerokuPlan
  /** The share of the budget, 0 to 1, from which on the verdict is `warn`. */
  warnAt: number
}

export interface BudgetLine {
  of: 'rows' | 'bytes'
  used: number
  budget: number
  /** Whole, rounded down: 100 means that nothing is left. */
  percent: number
  verdict: Verdict
  /** Like `9,412 of 10,000 rows (94 %)`. */
  text: string
}

export interface BudgetJudgement {
  /** The worst of the lines. */
  verdict: Verdict
  /** Rows first; empty where no budget was given. */
  lines: BudgetLine[]
  /** The line that decided; undefined where no budget was given. */
  headline: BudgetLine | undefined
}

/** Holds the counts against the budget. A budget given in rows or bytes goes before the one of the plan. */
export function judgeBudget(counts: { rows: number; bytes: number }, options: BudgetOptions): BudgetJudgement {
  const plan: Budget = options.herokuPlan === undefined ? {} : HEROKU_PLANS[options.herokuPlan]
  const lines = (['rows', 'bytes'] as const).flatMap(of => {
    const budget = options[of] ?? plan[of]
    return budget === undefined ? [] : [judge(of, counts[of], budget, options.warnAt)]
  })
  const headline = lines.toSorted((a, b) => SEVERITY[b.verdict] - SEVERITY[a.verdict])[0]
  return { verdict: headline?.verdict ?? 'within', lines, headline }
}

const SEVERITY: Readonly<Record<Verdict, number>> = { within: 0, warn: 1, over: 2 }

function judge(of: 'rows' | 'bytes', used: number, budget: number, warnAt: number): BudgetLine {
  const percent = budget === 0 ? (used === 0 ? 0 : 100) : Math.floor((used / budget) * 100)
  return {
    of,
    used,
    budget,
    percent,
    verdict: verdictOf(used, budget, warnAt),
    text: textOf(of, used, budget, percent),
  }
}

function verdictOf(used: number, budget: number, warnAt: number): Verdict {
  if (used > budget) return 'over'
  return used >= budget * warnAt ? 'warn' : 'within'
}

function textOf(of: 'rows' | 'bytes', used: number, budget: number, percent: number): string {
  if (of === 'rows') return `${grouped(used)} of ${grouped(budget)} rows (${percent} %)`
  return `${megabytes(used)} of ${megabytes(budget)} (${percent} %)`
}

/** Decimal like the plans themselves, so that both sides of the line are in the same measure. */
function megabytes(bytes: number): string {
  if (bytes >= GB) return `${(bytes / GB).toFixed(bytes % GB === 0 ? 0 : 2)} GB`
  return `${grouped(Math.round(bytes / 1_000_000))} MB`
}
