import { spellingOf } from '../backends/compose/env-file.js'
import { UsageError } from '../errors.js'
import { printableLine } from '../text.js'
import { type Answers, QUESTIONS, type Question } from './questions.js'

/** One answer that is wrong or missing, with the reason. */
export interface WrongAnswer {
  id: string
  reason: string
}

/** What was said, from a file and flags: texts, and in YAML also numbers and yes or no. */
export type Said = Readonly<Record<string, unknown>>

/**
 * Returns the answers with what was not said filled in, and everything that is wrong or missing at once. Only when
 * nothing is wrong are the answers whole.
 */
export function answersOf(said: Said): { answers: Answers; wrong: WrongAnswer[] } {
  const unknown = Object.keys(said).filter(id => !QUESTIONS.some(question => question.id === id))
  const wrong: WrongAnswer[] = unknown.map(id => ({ id, reason: 'There is no such question.' }))
  const answers: Record<string, string> = {}
  for (const question of QUESTIONS) {
    const { value, reason } = answerTo(question, said[question.id], answers)
    answers[question.id] = value
    if (reason !== undefined) wrong.push({ id: question.id, reason })
  }
  return { answers, wrong }
}

function answerTo(question: Question, said: unknown, answers: Answers): { value: string; reason?: string } {
  const given = textOf(said, question)
  if (given === undefined) return { value: '', reason: 'It must be a text, a number, or yes or no.' }
  if (question.when !== undefined && !question.when(answers)) return notAsked(given)
  if (given === '' && said === undefined) return unsaid(question, answers)
  const reason = wrongWith(question, given, answers)
  return reason === undefined ? { value: given } : { value: given, reason }
}

function notAsked(given: string): { value: string; reason?: string } {
  return given === '' ? { value: '' } : { value: '', reason: 'It has no meaning together with the other answers.' }
}

/** A value that follows from a wrong answer is not blamed as well. */
function unsaid({ fallback, why }: Question, answers: Answers): { value: string; reason?: string } {
  return fallback === undefined ? { value: '', reason: `It is missing. ${why}` } : { value: fallback(answers) }
}

/** YAML reads yes as a text, true as neither text nor number. */
function textOf(said: unknown, { choices }: Question): string | undefined {
  if (said === undefined || said === null) return ''
  if (typeof said === 'boolean') return choices?.includes('yes') ? (said ? 'yes' : 'no') : String(said)
  if (typeof said === 'number') return String(said)
  return typeof said === 'string' ? said.trim() : undefined
}

/** Returns what is wrong with the answer, in a sentence; undefined where nothing is. */
export function wrongWith(question: Question, value: string, answers: Answers): string | undefined {
  if (value === '') return question.mayBeEmpty ? undefined : `It is missing. ${question.why}`
  if (question.choices !== undefined && !question.choices.includes(value))
    return `Choose ${question.choices.join(' or ')}.`
  if (value.length > LONGEST) return `It is longer than ${LONGEST} characters.`
  if (spellingOf(value) === undefined)
    return 'No env file can hold it: it has a control character, ends in a backslash, or joins a quote with a backslash.'
  return question.grammar?.(value) ?? question.fits?.(value, answers)
}

const LONGEST = 1000

/** Returns the error that names every wrong answer at once. */
export function wrongAnswersError(wrong: readonly WrongAnswer[]): UsageError {
  const lines = wrong.map(({ id, reason }) => `${printableLine(id)}: ${reason}`)
  const only = wrong.length === 1
  return new UsageError({
    code: 'answers',
    message: only ? 'One answer is missing or wrong.' : `${wrong.length} answers are missing or wrong.`,
    cause: lines.join('\n'),
    next: 'Give each by a flag of its name, or in a YAML file: mstdn-ops setup --answers FILE. mstdn-ops setup --help tells every question.',
  })
}

/** Returns the answers that may be shown and kept: all but secrets. */
export function withoutSecrets(answers: Answers): Answers {
  const open = QUESTIONS.filter(question => !question.secret)
  return Object.fromEntries(open.map(({ id }) => [id, answers[id] ?? '']))
}

/** Returns the secrets among the answers that are set. */
export function secretsAmong(answers: Answers): Answers {
  const secret = QUESTIONS.filter(question => question.secret && answers[question.id])
  return Object.fromEntries(secret.map(({ id }) => [id, answers[id] ?? '']))
}

/** Returns the answers as a file that `--answers` reads, secrets left out and each question above its answer. */
export async function answersFile(answers: Answers): Promise<string> {
  const { stringify } = await import('yaml')
  const asked = QUESTIONS.filter(question => question.when?.(answers) ?? true)
  const block = (question: Question) => {
    const head = `# ${question.ask}. ${question.why}\n`
    return question.secret
      ? `${head}# ${question.id}: is a secret; give it by the flag --${question.id}-file.\n`
      : head + stringify({ [question.id]: answers[question.id] ?? '' })
  }
  return asked.map(block).join('\n')
}

/**
 * Reads an answers file.
 *
 * @throws UsageError when it is no YAML mapping.
 */
export async function readAnswersFile(path: string, content: string): Promise<Said> {
  const { parse } = await import('yaml')
  let read: unknown
  try {
    read = parse(content)
  } catch (error) {
    throw noMapping(path, error instanceof Error ? error.message : String(error))
  }
  if (read === null || read === undefined) return {}
  if (typeof read !== 'object' || Array.isArray(read)) throw noMapping(path, 'It holds no names with answers.')
  return read as Said
}

function noMapping(path: string, cause: string): UsageError {
  return new UsageError({
    code: 'answers-file',
    message: `The answers file ${path} cannot be read.`,
    cause,
    next: 'It is YAML, one line for each answer, like "domain: example.social". mstdn-ops setup --print-answers writes one.',
  })
}

/** Mastodon's name is a trademark: its own wizard warns of a domain with these words in it (late 4.3 and newer). */
export function trademarkWarning({ domain = '' }: Answers): string | undefined {
  if (!/masto|mstdn/.test(domain.split('.').slice(-2).join('.'))) return undefined
  return `${domain} holds a word that belongs to Mastodon's trademark. Its owner may object, and the domain can never be changed.`
}
