import { BUILD_PROBLEMS } from './known-problems/build.js'
import { DATABASE_PROBLEMS } from './known-problems/database.js'
import { HOST_PROBLEMS } from './known-problems/host.js'
import { type KnownProblem, mayBeIn, rangeText, type Sign } from './known-problems/problem.js'
import { SECRET_PROBLEMS } from './known-problems/secrets.js'
import { WEB_PROBLEMS } from './known-problems/web.js'
import type { MastodonVersion } from './version.js'

export { type KnownProblem, rangeText } from './known-problems/problem.js'

/** Every known problem, in the order in which they are shown: what stops the instance first. */
export const KNOWN_PROBLEMS: readonly KnownProblem[] = [
  ...HOST_PROBLEMS,
  ...DATABASE_PROBLEMS,
  ...SECRET_PROBLEMS,
  ...BUILD_PROBLEMS,
  ...WEB_PROBLEMS,
]

/** A problem that a line shows. */
export interface Recognised {
  problem: KnownProblem
  /** Whether the sign was captured from the real software. */
  seen: boolean
  /** What the line calls by a name that is safe to be put into a command. */
  names: Readonly<Record<string, string>>
}

const SIGNS = KNOWN_PROBLEMS.flatMap(problem => problem.signs.map(sign => ({ problem, sign })))
const WORDS = [...new Set(SIGNS.map(({ sign }) => sign.word))]

/** Returns an expression that finds any of the words in one pass; each caller gets its own, for it keeps its place. */
export function anyWord(): RegExp {
  return new RegExp(WORDS.map(word => word.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'g')
}

/** What a line says stands at its beginning; somebody from outside may make it as long as they like. */
const LONGEST_LINE = 2_000

/** Returns what the line shows, each problem once: by a sign that was seen where one is among them. */
export function recognise(whole: string): Recognised[] {
  const line = whole.slice(0, LONGEST_LINE)
  const found = new Map<string, Recognised>()
  for (const { problem, sign } of SIGNS) {
    const names = line.includes(sign.word) ? namesIn(line, sign) : undefined
    if (names === undefined || found.get(problem.id)?.seen) continue
    found.set(problem.id, { problem, seen: sign.seen ?? false, names })
  }
  return [...found.values()]
}

function namesIn(line: string, { pattern }: Sign): Record<string, string> | undefined {
  if (pattern === undefined) return {}
  const match = pattern.exec(line)
  return match === null ? undefined : safe(match.groups ?? {})
}

/** A log may hold anything: only what SQL and a shell take for a plain word is put into a command. */
function safe(groups: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const named = Object.entries(groups).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]))
  return Object.fromEntries(named.filter(([, value]) => /^[a-z_][a-z0-9_]{0,62}$/.test(value)))
}

/** Returns what to do, for the version where it is known; otherwise each step says which releases it is for. */
export function stepsFor(
  { problem, names }: Pick<Recognised, 'problem' | 'names'>,
  version?: MastodonVersion,
): string[] {
  const offers = problem.offers.filter(offer => mayBeIn(version, offer))
  return offers.map(({ text, ...range }) => {
    const filled = text.replaceAll(/\{(\w+)\}/g, (_, key: string) => names[key] ?? key.toUpperCase())
    const ranged = version === undefined && Object.keys(range).length > 0
    return ranged ? `(Mastodon ${rangeText(range)}) ${filled}` : filled
  })
}

/**
 * Returns what is known of a failure, for the end of its message: the title of each problem and its first step.
 * Undefined where nothing is known.
 */
export function explanationOf(text: string): string | undefined {
  const found = new Map<string, Recognised>()
  for (const each of text.split('\n').flatMap(recognise)) {
    if (!found.get(each.problem.id)?.seen) found.set(each.problem.id, each)
  }
  const sentences = [...found.values()].map(each => {
    const step = stepsFor(each).find(text => text !== 'mstdn-ops db:backup')
    return `${each.seen ? 'Known problem' : 'Perhaps'}: ${each.problem.title}. ${step === undefined ? '' : `What helps: ${step}`}`
  })
  return sentences.length === 0 ? undefined : sentences.join('\n')
}
