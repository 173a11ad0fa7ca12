import type { AppOutcome } from '../../backends/backend.js'
import { type OperatorError, OutcomeUnknownError, RefusedError } from '../../errors.js'
import type { Verdict } from '../../mastodon/app.js'
import { recognise } from '../../mastodon/known-problems.js'

/** What the engine reports for a process that the kernel killed: 128 + SIGKILL. */
const KILLED = 137

type Said = Pick<AppOutcome, 'stdout' | 'stderr' | 'exitCode'>

/**
 * Returns why a command of the app failed, in its own words: what stands after `aborted!`, else the last lines; and a
 * line of its that shows a known problem, which stands in front of them where a stack trace follows.
 */
export function complaint({ stdout, stderr, exitCode }: Said): string {
  if (exitCode === KILLED) return `It was killed (code ${KILLED}): most likely the machine ran out of memory.`
  const aborted = linesOf(stderr.split(/^.*\baborted!$/m)[1] ?? '')
  const said = aborted.length > 0 ? aborted.slice(0, 3) : [...linesOf(stdout), ...linesOf(stderr)].slice(-3)
  return `It ended with code ${exitCode} and said: ${[...tellingLine(said, { stdout, stderr }), ...said].join(' / ') || 'nothing'}`
}

/** Long lines are left out, for a message is none. */
function tellingLine(said: readonly string[], { stdout, stderr }: Pick<Said, 'stdout' | 'stderr'>): string[] {
  const tells = (line: string) => line.length < 1_000 && recognise(line).length > 0
  if (said.some(tells)) return []
  const found = [...linesOf(stderr), ...linesOf(stdout)].find(tells)
  return found === undefined ? [] : [found]
}

/** Returns the last line that has text, or the empty string: most commands say there what they did. */
export function lastLine(stdout: string): string {
  return linesOf(stdout).at(-1) ?? ''
}

/** Returns the failure of an operation; one that exits 0 and says nothing to go by may have done its work. */
export function operationFailed(title: string, outcome: Said & { verdict: Verdict }): OperatorError {
  if (outcome.verdict === 'failed') {
    return new RefusedError({ code: 'operation-failed', message: `"${title}" failed.`, cause: complaint(outcome) })
  }
  return new OutcomeUnknownError({
    code: 'operation-unclear',
    message: `Whether "${title}" did its work is not known.`,
    cause: `${complaint(outcome)}. That is not what it says when all went well.`,
    next: 'Look at the result; it may be run again without harm.',
  })
}

function linesOf(text: string): string[] {
  const lines = text.split('\n').map(line => line.trim())
  return lines.filter(line => line !== '' && !/^(Tasks: TOP|\(See full trace)/.test(line))
}
