import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { judgeBudget } from '../../../src/lib/postgres/budget.js'

const MB = 1_000_000

describe('the first line', () => {
  test.each([
    [9_412, 'mini', 'warn', '9,412 of 10,000 rows (94 %)'],
    [7_999, 'mini', 'within', '7,999 of 10,000 rows (79 %)'],
    [8_000, 'mini', 'warn', '8,000 of 10,000 rows (80 %)'],
    [9_999, 'mini', 'warn', '9,999 of 10,000 rows (99 %)'],
    [10_000, 'mini', 'warn', '10,000 of 10,000 rows (100 %)'],
    [10_001, 'mini', 'over', '10,001 of 10,000 rows (100 %)'],
    [12_500_000, 'basic', 'over', '12,500,000 of 10,000,000 rows (125 %)'],
  ] as const)('%i rows on %s are %s', (rows, herokuPlan, verdict, text) => {
    const judged = judgeBudget({ rows, bytes: 5 * MB }, { herokuPlan, warnAt: 0.8 })
    expect(judged.verdict).toBe(verdict)
    expect(judged.headline?.text).toBe(text)
  })

  test.each([
    ['essential-0', 940 * MB, 'warn', '940 MB of 1 GB (94 %)'],
    ['essential-1', 940 * MB, 'within', '940 MB of 10 GB (9 %)'],
    ['essential-2', 33_500 * MB, 'over', '33.50 GB of 32 GB (104 %)'],
  ] as const)('%s counts bytes alone', (herokuPlan, bytes, verdict, text) => {
    const judged = judgeBudget({ rows: 99_000_000, bytes }, { herokuPlan, warnAt: 0.8 })
    expect(judged).toMatchObject({ verdict, headline: { text } })
    expect(judged.lines).toHaveLength(1)
  })
})

test('of two budgets the worse decides, and rows lead when they are equal', () => {
  const over = judgeBudget({ rows: 10, bytes: 2_000 * MB }, { herokuPlan: 'mini', warnAt: 0.8 })
  expect(over).toMatchObject({ verdict: 'over', headline: { of: 'bytes' } })
  expect(judgeBudget({ rows: 1, bytes: 1 }, { herokuPlan: 'mini', warnAt: 0.8 }).headline?.of).toBe('rows')
})

test('a budget of one’s own goes before the plan’s', () => {
  const judged = judgeBudget({ rows: 900, bytes: 1 }, { herokuPlan: 'mini', rows: 1000, warnAt: 0.8 })
  expect(judged.headline?.text).toBe('900 of 1,000 rows (90 %)')
})

test('without a budget there is nothing to judge', () => {
  expect(judgeBudget({ rows: 1, bytes: 1 }, { warnAt: 0.8 })).toEqual({
    verdict: 'within',
    lines: [],
    headline: undefined,
  })
})

test('more rows never make the verdict better', () => {
  const order = ['within', 'warn', 'over']
  const judge = (rows: number, budget: number, warnAt: number) =>
    order.indexOf(judgeBudget({ rows, bytes: 0 }, { rows: budget, warnAt }).verdict)
  fc.assert(
    fc.property(
      fc.nat(),
      fc.nat(),
      fc.nat(),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (rows, more, budget, warnAt) => {
        expect(judge(rows + more, budget, warnAt)).toBeGreaterThanOrEqual(judge(rows, budget, warnAt))
      },
    ),
  )
})
