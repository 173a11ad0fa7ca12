import { inRange, type MastodonVersion, type VersionRange } from '../version.js'

/** A problem that operators have met before: how a log shows it, what it means, what to do. */
export interface KnownProblem {
  /** Stable, for scripts. */
  id: string
  title: string
  explains: string
  signs: readonly Sign[]
  /** Checks of `doctor` that find the same when they look. */
  checks?: readonly string[]
  /** What to do, in this order. `{name}` is what the sign calls by this name. */
  offers: readonly Offer[]
  /** The releases that can have it; all where absent. */
  versions?: Partial<VersionRange>
}

/** Something in a line of a log. */
export interface Sign {
  /** Stands in the line as it is; none of `"<>&\`, which a log in JSON writes otherwise. */
  word: string
  /** What else the line has to be like; its named groups fill the offers. */
  pattern?: RegExp
  /**
   * Set where a log that shows it was captured from the real software (test/lib/mastodon/known-problems). What is known
   * from documents and reports alone is never shown as certain.
   */
  seen?: true
}

/** A command of this tool or a plain line, for the releases that it is for. */
export interface Offer extends Partial<VersionRange> {
  text: string
}

/** The first release that the tool knows. */
const FIRST = '1.3.0'

/** Whether the range has this version; unknown versions may be in any. */
export function mayBeIn(
  version: MastodonVersion | undefined,
  { since = FIRST, before }: Partial<VersionRange>,
): boolean {
  return version === undefined || inRange(version, { since, ...(before === undefined ? {} : { before }) })
}

/** Returns the range for people: `from 4.3.0`, `1.4.2 to before 2.6.0`, `every version`. */
export function rangeText({ since, before }: Partial<VersionRange> = {}): string {
  if (since !== undefined && before !== undefined) return `${since} to before ${before}`
  if (since !== undefined) return `from ${since}`
  return before === undefined ? 'every version' : `before ${before}`
}
