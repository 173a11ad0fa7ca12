import { OutcomeUnknownError, RefusedError } from '../errors.js'
import type { Effect, Outcome } from '../runner.js'
import { firstLine } from './complaints.js'

/**
 * Says on standard error that the command starts, runs it, and says how it ended.
 *
 * An interrupted `docker exec` may exit 0 (docker CLI 28), so a code counts only together with the end marker. Needs
 * nothing but `sh`.
 */
const SCRIPT = 'm=$1; shift; echo "$m start" >&2; "$@"; r=$?; printf "\\n%s end %s\\n" "$m" "$r" >&2; exit $r'

/** Returns the words that run `argv` between markers made of the nonce. */
export function marked(argv: readonly string[], nonce: string): string[] {
  return ['sh', '-c', SCRIPT, 'mstdn-ops', nonce, ...argv]
}

/** What the markers tell. */
export interface Markers {
  started: boolean
  /** The command's own code; absent when its end was not seen. */
  exitCode: number | undefined
  /** The command's own standard error, without the markers and the client's messages. */
  stderr: string
}

/** Returns what stands between the markers of the nonce. */
export function readMarkers(stderr: string, nonce: string): Markers {
  const start = `${nonce} start\n`
  const from = stderr.indexOf(start)
  const end = new RegExp(`\\n${nonce} end (\\d+)\\r?\\n`).exec(stderr)
  const body = stderr.slice(from < 0 ? 0 : from + start.length, end ? end.index : undefined)
  return { started: from >= 0, exitCode: end ? Number(end[1]) : undefined, stderr: body }
}

const NEVER_STARTED =
  /OCI runtime|No such container|is not running|is restarting|executable file not found|no such service|no such image|pull access denied|manifest unknown|Conflict\.|Error response from daemon|Cannot connect to the Docker daemon/i

/**
 * Returns the outcome of a marked command with its own code and texts.
 *
 * @throws RefusedError when it never started, or was a read whose end was not seen; OutcomeUnknownError when a write's
 * end was not seen.
 */
export function believed(outcome: Outcome, nonce: string, what: string, effect: Effect): Outcome {
  const markers = readMarkers(outcome.stderr, nonce)
  if (markers.exitCode !== undefined) return { ...outcome, exitCode: markers.exitCode, stderr: markers.stderr }
  if (!markers.started && NEVER_STARTED.test(`${outcome.stderr}\n${outcome.stdout}`)) throw notStarted(outcome, what)
  throw endNotSeen(outcome, what, effect)
}

function notStarted(outcome: Outcome, what: string): RefusedError {
  return new RefusedError({
    code: 'one-off-not-started',
    message: `${what} could not be started.`,
    cause: firstLine(outcome),
    next: 'See whether the containers run: docker compose ps -a',
  })
}

function endNotSeen(outcome: Outcome, what: string, effect: Effect): Error {
  const parts = {
    code: 'end-not-seen',
    message: `The end of ${what} was not seen.`,
    cause: `The connection to the engine was lost (client code ${outcome.exitCode}). ${firstLine(outcome)}`,
  }
  if (effect === 'read') return new RefusedError({ ...parts, next: 'Run the command again.' })
  return new OutcomeUnknownError({ ...parts, next: 'Look at what it was to change before you run it again.' })
}
