import { UsageError } from './errors.js'

/** What is known of the commands: enough to understand the words before a command. */
export interface CommandNames {
  /** Every command, like `accounts:confirm`. */
  ids: readonly string[]
}

const TAKES_VALUE = new Set([
  '-i',
  '--instance',
  '--backend',
  '-a',
  '--app',
  '-C',
  '--project-dir',
  '--project-directory',
  '--log-level',
])
const TAKES_NONE = new Set(['--json', '--dry-run', '-y', '--yes', '-q', '--quiet'])

/**
 * Returns the words as the framework wants them: the command first (global flags may stand before it, as they do for
 * docker and git), and `help …` and no words at all as `--help`.
 *
 * @throws UsageError for words that name no command: the framework would print a help page for some, and exit 0.
 */
export function understood(words: readonly string[], { ids }: CommandNames): string[] {
  const [command, ...rest] = commandFirst(words)
  if (command === undefined) return ['--help']
  if (command === 'help') return [...rest, '--help']
  if (command.startsWith('-') || ids.includes(command)) return [command, ...rest]
  if (isTopic(command, ids) && rest.every(word => word.startsWith('-'))) return [command, ...rest]
  throw unknownCommand(command, rest, ids)
}

function commandFirst(words: readonly string[]): string[] {
  const at = words.findIndex((word, index) => !isGlobalFlag(word) && !takesValue(words[index - 1]))
  if (at <= 0) return [...words]
  return [words[at] ?? '', ...words.slice(0, at), ...words.slice(at + 1)]
}

function isGlobalFlag(word: string): boolean {
  return TAKES_VALUE.has(word.split('=')[0] ?? '') || TAKES_NONE.has(word)
}

function takesValue(word: string | undefined): boolean {
  return word !== undefined && TAKES_VALUE.has(word)
}

function isTopic(word: string, ids: readonly string[]): boolean {
  return ids.some(id => id.startsWith(`${word}:`))
}

function unknownCommand(command: string, rest: readonly string[], ids: readonly string[]): UsageError {
  const joined = `${command}:${rest[0] ?? ''}`
  const typed = isTopic(command, ids) && rest[0] ? `${command} ${rest[0]}` : command
  const topic = command.split(':')[0] ?? ''
  const likely = ids.includes(joined) ? [joined] : ids.filter(id => id.startsWith(`${topic}:`) || isNear(id, command))
  return new UsageError({
    code: 'unknown-command',
    message: `There is no command "${typed}".`,
    ...(likely.length > 0 ? { cause: `Did you mean: ${likely.join(', ')}?` } : {}),
    next: 'mstdn-ops --help lists the commands; topic and command are joined by a colon.',
  })
}

/** Whether the same letters were typed but for one or two that are missing, doubled or swapped. */
function isNear(id: string, typed: string): boolean {
  const letters = (text: string) => [...text].sort()
  const [ours, theirs] = [letters(id), letters(typed)]
  const missing = ours.filter(letter => !takeOne(theirs, letter))
  return missing.length + theirs.length <= 2
}

function takeOne(letters: string[], letter: string): boolean {
  const at = letters.indexOf(letter)
  if (at < 0) return false
  letters.splice(at, 1)
  return true
}
