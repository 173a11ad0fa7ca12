import { rangeText, stepsFor } from '../mastodon/known-problems.js'
import type { MastodonVersion } from '../mastodon/version.js'
import type { Looked } from './instance.js'
import type { Found, Place } from './tally.js'

/** A problem as it is shown. */
export interface DiagnosedProblem {
  id: string
  title: string
  /** `unseen`: known from documents alone, it may be something else. */
  certainty: 'seen' | 'unseen'
  /** The releases of Mastodon that can have it, for people. */
  versions: string
  places: Place[]
  explains: string
  steps: string[]
}

export interface Diagnosis {
  looked: string[]
  notLooked: string[]
  problems: DiagnosedProblem[]
}

/** Returns what was found in the order in which it is shown. */
export function diagnosisOf(found: readonly Found[], looked: Looked, version?: MastodonVersion): Diagnosis {
  return { looked: looked.at, notLooked: looked.without, problems: found.map(each => diagnosed(each, version)) }
}

function diagnosed(found: Found, version: MastodonVersion | undefined): DiagnosedProblem {
  const { problem, seen, places } = found
  return {
    id: problem.id,
    title: problem.title,
    certainty: seen ? 'seen' : 'unseen',
    versions: rangeText(problem.versions),
    places,
    explains: problem.explains,
    steps: stepsFor(found, version),
  }
}

/** Returns the diagnosis for people. */
export function diagnosisText({ looked, notLooked, problems }: Diagnosis): string {
  const head = problems.length === 0 ? 'No known problem was found.' : headOf(problems)
  const blind = notLooked.map(what => `Not looked at: ${what}`)
  return [head, `Looked at: ${looked.join(', ') || 'nothing'}.`, ...blind, ...problems.flatMap(problemLines)].join('\n')
}

function headOf(problems: readonly DiagnosedProblem[]): string {
  const certain = problems.filter(({ certainty }) => certainty === 'seen').length
  return `Known problems: ${certain} recognised, ${problems.length - certain} perhaps.`
}

function problemLines({ id, title, certainty, versions, places, explains, steps }: DiagnosedProblem): string[] {
  const mark = certainty === 'seen' ? '✘' : '? Perhaps:'
  const doubt = certainty === 'seen' ? [] : ['  Unseen   known from reports alone: it may be something else.']
  return [
    '',
    `${mark} ${title} (${id})`,
    ...doubt,
    `  Means    ${explains}`,
    ...places.flatMap(placeLines),
    ...steps.map((step, at) => `  ${at === 0 ? 'Do this ' : '        '} ${at + 1}. ${step}`),
    ...(versions === 'every version' ? [] : [`  Mastodon ${versions}`]),
  ]
}

function placeLines({ source, count, line, time, text }: Place): string[] {
  const times = count === 1 ? '' : `, ${count} lines`
  const last = [...(line === undefined ? [] : [`line ${line}`]), ...(time === undefined ? [] : [time])].join(', ')
  const where = last === '' ? '' : count === 1 ? `, ${last}` : `, the last at ${last}`
  return [`  Where    ${source}${times}${where}:`, `           ${text}`]
}
