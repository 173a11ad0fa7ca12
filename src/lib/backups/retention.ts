import type { Keep } from '../instance.js'
import { plural } from '../text.js'

/** What is kept where nothing else is said. */
export const KEEP: Required<Keep> = { daily: 7, weekly: 4, monthly: 6 }

/** A backup as far as its staying is concerned. */
export interface Candidate {
  name: string
  at: Date
  /** What is not proven counts for nothing, and does not go by itself either. */
  proven: boolean
  /** It stays whatever its age. */
  pinned: boolean
}

export interface Judged {
  name: string
  stays: boolean
  /** In words. */
  reason: string
}

export interface Rules {
  keep: Required<Keep>
  now: Date
  /** The time zone whose days are meant, like `Europe/Berlin`. */
  zone: string
}

/** A span of which the last backup stays, for so many of them. */
interface Span {
  name: string
  most: number
  of: (day: string) => string
}

/**
 * Returns what stays and what goes, in the order given. Of each of the last days, weeks and months *that have a proven
 * backup*, its last one stays: so no gap and no clock that ran ahead makes more go. Always stays the newest proven one.
 */
export function judge(backups: readonly Candidate[], rules: Rules): Judged[] {
  const counted = newestFirst(backups).filter(({ proven, at }) => proven && at <= rules.now)
  const dayOf = dayIn(rules.zone)
  const days = new Map(counted.map(({ name, at }) => [name, dayOf(at)]))
  const reasons = reasonsToStay(counted, days, spansOf(rules.keep))
  const [newest] = newestFirst(backups.filter(({ proven }) => proven))
  return backups.map(backup => {
    const reason = apart(backup, rules.now) ?? reasons.get(backup.name)
    if (backup === newest) return { name: backup.name, stays: true, reason: 'the newest that is proven' }
    if (reason !== undefined) return { name: backup.name, stays: true, reason }
    return { name: backup.name, stays: false, reason: reasonToGo(backup.name, days, rules.keep) }
  })
}

/** An attempt to make a backup: finished or not, as its folder or its journal tells. */
export interface Attempt {
  name: string
  at: Date
  /** Why it is none to rely on; undefined: it succeeded. */
  problem: string | undefined
}

/**
 * Returns the newest attempt where it failed: then nothing may go. Where the clock of this machine once ran ahead, the
 * newest up to now counts as well.
 */
export function newestFailure(attempts: readonly Attempt[], now: Date): Attempt | undefined {
  const newest = newestFirst(attempts)
  const looked = [newest[0], newest.find(({ at }) => at <= now)]
  return looked.find(attempt => attempt?.problem !== undefined)
}

/** Two of one second are told apart by their names. */
function newestFirst<T extends { name: string; at: Date }>(all: readonly T[]): T[] {
  return [...all].sort((a, b) => b.at.getTime() - a.at.getTime() || (a.name < b.name ? 1 : -1))
}

/** Returns why the backup stays without being counted. */
function apart({ proven, pinned, at }: Candidate, now: Date): string | undefined {
  if (!proven) return 'not proven, so that it is left for you to look at'
  if (pinned) return 'kept by its label'
  return at <= now ? undefined : 'made in the future, as the clock of this machine has it'
}

function spansOf({ daily, weekly, monthly }: Required<Keep>): Span[] {
  return [
    { name: 'day', most: daily, of: day => day },
    { name: 'week', most: weekly, of: mondayOf },
    { name: 'month', most: monthly, of: day => day.slice(0, 7) },
  ]
}

function reasonsToStay(counted: readonly Candidate[], days: ReadonlyMap<string, string>, spans: readonly Span[]) {
  const reasons = new Map<string, string>()
  for (const span of spans) {
    const seen = new Set<string>()
    for (const { name } of counted) {
      const key = span.of(days.get(name) ?? '')
      if (seen.has(key) || seen.size >= span.most) continue
      seen.add(key)
      const before = reasons.get(name)
      reasons.set(name, before ? `${before}, ${span.name}` : `the last of its ${span.name}`)
    }
  }
  return reasons
}

function reasonToGo(
  name: string,
  days: ReadonlyMap<string, string>,
  { daily, weekly, monthly }: Required<Keep>,
): string {
  const day = days.get(name)
  const [last] = [...days].find(([, other]) => other === day) ?? []
  if (last !== name) return `a later one of ${day} is there`
  return `beyond ${plural(daily, 'day')}, ${plural(weekly, 'week')} and ${plural(monthly, 'month')}`
}

/** Returns what tells the day of a time where it was made, like `2026-03-29`; a day there has 23 to 25 hours. */
function dayIn(zone: string): (time: Date) => string {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' })
  return time => format.format(time)
}

/** Returns the Monday of the day's week. */
function mondayOf(day: string): string {
  const date = new Date(`${day}T00:00:00Z`)
  date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7))
  return date.toISOString().slice(0, 10)
}
