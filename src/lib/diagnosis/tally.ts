import { masked } from '../mask.js'
import { KNOWN_PROBLEMS, type KnownProblem, type Recognised, recognise } from '../mastodon/known-problems.js'
import { printableLine } from '../text.js'
import { logLineOf, withoutEscapes } from './log-line.js'

/** Where a problem showed. */
export interface Place {
  /** A file, a process, a check, a run. */
  source: string
  /** How many lines showed it. */
  count: number
  /** The number of the last of them in a file. */
  line?: number
  /** The time of the last of them, as it stands there. */
  time?: string
  /** The last of them. */
  text: string
}

/** A problem that showed, with all its places. */
export interface Found {
  problem: KnownProblem
  seen: boolean
  names: Readonly<Record<string, string>>
  places: Place[]
}

/** Names of processes come out of the log, which may hold any number of them. */
const MOST_PLACES = 20
const LONGEST_TEXT = 200

/** Counts what shows which problem. Its memory does not grow with the log. */
export class Tally {
  readonly #found = new Map<string, Found>()

  /** Everything that showed, what is certain first, then what stops the instance first. */
  get found(): Found[] {
    const place = ({ problem }: Found) => KNOWN_PROBLEMS.indexOf(problem)
    return [...this.#found.values()].sort((a, b) => Number(b.seen) - Number(a.seen) || place(a) - place(b))
  }

  /** Looks at a line of a log as it was kept. */
  line(raw: string, at: { source: string; line?: number; time?: string }): void {
    const { text, source, time } = logLineOf(withoutEscapes(raw))
    const place = { ...at, source: source === undefined ? at.source : `${at.source} ${source}` }
    const when = at.time ?? time
    for (const each of recognise(text))
      this.add(each, { ...place, text, ...(when === undefined ? {} : { time: when }) })
  }

  /** Counts one more line that shows the problem. */
  add({ problem, seen, names }: Recognised, place: Omit<Place, 'count'>): void {
    const found = this.#found.get(problem.id) ?? { problem, seen, names, places: [] }
    this.#found.set(problem.id, found)
    if (Object.keys(found.names).length === 0) found.names = names
    found.seen ||= seen
    const source = printableLine(place.source)
    const known = found.places.find(each => each.source === source)
    const last = { ...place, source, text: excerpt(place.text), count: (known?.count ?? 0) + 1 }
    if (known !== undefined) Object.assign(known, last)
    else if (found.places.length < MOST_PLACES) found.places.push(last)
  }
}

/** Copied, for a part of a string keeps all of it in memory. */
function excerpt(text: string): string {
  const short = Buffer.from(text.trim().slice(0, LONGEST_TEXT * 2)).toString()
  return printableLine(masked(short)).slice(0, LONGEST_TEXT)
}
