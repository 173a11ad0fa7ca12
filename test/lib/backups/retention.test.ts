import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Attempt,
  type Candidate,
  type Judged,
  judge,
  newestFailure,
  type Rules,
} from '../../../src/lib/backups/retention.js'

const RUNS = process.env.MSTDN_TEST_FULL ? 10_000 : 300
const ZONES = ['UTC', 'Europe/Berlin', 'America/St_Johns', 'Pacific/Apia', 'Asia/Tokyo']
/** Clocks went forward on 29 March and back on 25 October in Berlin, on 8 March and 1 November in St. John's. */
const NOW = new Date('2026-11-22T12:00:00Z')
const DAY = 86_400_000

function backup(time: string, parts: Partial<Candidate> = {}): Candidate {
  return { name: time, at: new Date(time), proven: true, pinned: false, ...parts }
}

function rules(keep: Partial<Rules['keep']>, parts: Partial<Rules> = {}): Rules {
  return { keep: { daily: 0, weekly: 0, monthly: 0, ...keep }, now: NOW, zone: 'UTC', ...parts }
}

function staying(judged: readonly Judged[]): string[] {
  return judged.filter(({ stays }) => stays).map(({ name }) => name)
}

describe('what stays of the backups', () => {
  it('is the last of each of the last days, weeks and months that have one', () => {
    const times = ['11-22T02', '11-21T03', '11-21T02', '11-18T02', '11-15T02', '11-09T02', '10-31T02', '10-01T02']
    const all = times.map(time => backup(`2026-${time}:00:00Z`))
    const judged = judge(all, rules({ daily: 3, weekly: 3, monthly: 2 }))
    expect(
      judged.map(({ name, stays, reason }) => `${name.slice(5, 13)} ${stays ? 'stays' : 'goes'}: ${reason}`),
    ).toEqual([
      '11-22T02 stays: the newest that is proven',
      '11-21T03 stays: the last of its day',
      '11-21T02 goes: a later one of 2026-11-21 is there',
      '11-18T02 stays: the last of its day',
      '11-15T02 stays: the last of its week',
      '11-09T02 goes: beyond 3 days, 3 weeks and 2 months',
      '10-31T02 stays: the last of its week, month',
      '10-01T02 goes: beyond 3 days, 3 weeks and 2 months',
    ])
  })

  it('is the newest proven one where nothing is to be kept', () => {
    const all = [backup('2026-11-22T02:00:00Z', { proven: false }), backup('2026-11-20T02:00:00Z')]
    expect(staying(judge([...all, backup('2026-11-19T02:00:00Z')], rules({})))).toEqual(all.map(({ name }) => name))
  })

  it('counts days as they are in the zone of the machine', () => {
    const all = [backup('2026-11-21T23:30:00Z'), backup('2026-11-21T12:00:00Z')]
    expect(staying(judge(all, rules({ daily: 2 })))).toHaveLength(1)
    expect(staying(judge(all, rules({ daily: 2 }, { zone: 'Europe/Berlin' })))).toHaveLength(2)
  })

  it.each([
    ['the short day of spring', '2026-03-28T23:00:00Z', '2026-03-29T21:59:59Z', '2026-03-29T22:00:00Z'],
    ['the long day of autumn', '2026-10-24T22:00:00Z', '2026-10-25T22:59:59Z', '2026-10-25T23:00:00Z'],
  ])('takes %s for one day', (_day, first, last, next) => {
    const all = [backup(next), backup(last), backup(first)]
    expect(staying(judge(all, rules({ daily: 3 }, { zone: 'Europe/Berlin' })))).toEqual([next, last])
  })

  it('tells two of one second apart, in any order', () => {
    const at = new Date('2026-11-22T02:00:00Z')
    const [a, b] = ['a', 'b'].map(name => ({ name, at, proven: true, pinned: false }) as const)
    for (const all of [[a, b] as Candidate[], [b, a] as Candidate[]]) {
      expect(staying(judge(all, rules({ daily: 5 })))).toEqual(['b'])
    }
  })

  it('leaves what a clock that ran ahead has made, and lets it count for nothing', () => {
    const future = backup('2027-11-22T02:00:00Z')
    const past = ['2026-11-22T02:00:00Z', '2026-11-21T02:00:00Z', '2026-11-20T02:00:00Z'].map(time => backup(time))
    const judged = judge([future, ...past], rules({ daily: 2 }))
    expect(staying(judged)).toEqual([future.name, past[0]?.name, past[1]?.name])
    const later = rules({ daily: 2 }, { now: new Date('2030-01-01T00:00:00Z') })
    expect(staying(judge(past, later))).toEqual([past[0]?.name, past[1]?.name])
  })
})

/** Times on both sides of the changes of the clock, of the ends of weeks and months, some in the future, some equal. */
const time = fc
  .oneof(
    fc.integer({ min: 0, max: 400 * 24 }).map(hours => NOW.getTime() - hours * 3_600_000),
    fc.constantFrom('2026-03-29T00:59:59Z', '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z').map(Date.parse),
    fc.integer({ min: -2 * DAY, max: 2 * DAY }).map(jump => NOW.getTime() + jump),
  )
  .map(at => new Date(at))
const often = fc.constantFrom(true, true, true, true, false)
const seldom = fc.constantFrom(false, false, false, false, false, true)
const history = fc
  .array(fc.record({ at: time, proven: often, pinned: seldom }), { maxLength: 40 })
  .map(all => all.map((one, at) => ({ ...one, name: `${one.at.toISOString()}-${at}` })))
const amounts = fc.record({ daily: fc.nat(8), weekly: fc.nat(5), monthly: fc.nat(7) })
const cases = fc.record({ all: history, keep: amounts, zone: fc.constantFrom(...ZONES) })

/** The day, the week and the month of a time there, by another way than the tool's: as numbers. */
function spansOf(at: Date, zone: string): Record<keyof Rules['keep'], number> {
  const text = at.toLocaleDateString('en-US', { timeZone: zone, year: 'numeric', month: 'numeric', day: 'numeric' })
  const [month = 0, day = 0, year = 0] = text.split('/').map(Number)
  const days = Date.UTC(year, month - 1, day) / DAY
  // The first day of all was a Thursday.
  return { daily: days, weekly: Math.floor((days + 3) / 7), monthly: year * 12 + month }
}

function isNewer(a: Candidate, b: Candidate): boolean {
  return a.at > b.at || (a.at.getTime() === b.at.getTime() && a.name > b.name)
}

/** Whether a rule keeps it: nothing later in its span, and fewer later spans with a backup than are kept. */
function isKept(one: Candidate, counted: readonly Candidate[], keep: Rules['keep'], zone: string): boolean {
  const mine = spansOf(one.at, zone)
  const newer = counted.filter(other => isNewer(other, one)).map(other => spansOf(other.at, zone))
  return (['daily', 'weekly', 'monthly'] as const).some(span => {
    const later = new Set(newer.map(other => other[span]))
    return !later.has(mine[span]) && later.size < keep[span]
  })
}

describe(`${RUNS} histories of backups`, () => {
  it('lose what no rule keeps, and never the newest proven, an unproven or a pinned one', () => {
    fc.assert(
      fc.property(cases, ({ all, keep, zone }) => {
        const stays = new Map(judge(all, rules(keep, { zone })).map(({ name, stays: does }) => [name, does]))
        const proven = all.filter(one => one.proven)
        const counted = proven.filter(({ at }) => at <= NOW)
        for (const one of all) {
          const newest = one.proven && !proven.some(other => isNewer(other, one))
          const safe = newest || !one.proven || one.pinned || one.at > NOW
          expect(stays.get(one.name)).toBe(safe || isKept(one, counted, keep, zone))
        }
        expect(proven.length === 0 || proven.some(({ name }) => stays.get(name))).toBe(true)
      }),
      { numRuns: RUNS },
    )
  })

  it('lose no more when a removal was cut short and is done again, in whatever order they are listed', () => {
    fc.assert(
      fc.property(cases, fc.infiniteStream(fc.boolean()), ({ all, keep, zone }, coin) => {
        const going = (of: readonly Candidate[]) =>
          judge(of, rules(keep, { zone })).flatMap(({ name, stays }) => (stays ? [] : [name]))
        const first = going(all)
        const removed = new Set(first.filter(() => coin.next().value === true))
        const left = all.filter(({ name }) => !removed.has(name)).reverse()
        expect(going(left).sort()).toEqual(first.filter(name => !removed.has(name)).sort())
        expect(going(all.filter(({ name }) => !first.includes(name)))).toEqual([])
      }),
      { numRuns: RUNS },
    )
  })
})

describe('a failed attempt', () => {
  const attempt = (time: string, problem?: string): Attempt => ({ name: time, at: new Date(time), problem })
  const good = attempt('2026-11-20T02:00:00Z')
  const bad = attempt('2026-11-21T02:00:00Z', 'cut')

  it('is told where it is the newest', () => {
    expect(newestFailure([good, bad], NOW)).toBe(bad)
    expect(newestFailure([good, bad, attempt('2026-11-22T02:00:00Z')], NOW)).toBeUndefined()
    expect(newestFailure([], NOW)).toBeUndefined()
  })

  it('is told where it is the newest up to now, or dated ahead', () => {
    expect(newestFailure([good, bad, attempt('2027-01-01T00:00:00Z')], NOW)).toBe(bad)
    const ahead = attempt('2027-01-01T00:00:00Z', 'cut')
    expect(newestFailure([good, ahead], NOW)).toBe(ahead)
  })
})
