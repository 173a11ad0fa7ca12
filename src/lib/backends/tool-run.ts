import { PassThrough, pipeline, type Readable } from 'node:stream'
import type { Channel } from '../runner.js'
import type { ToolRun, ToolScript } from './backend.js'
import { believed } from './marked.js'

/**
 * Runs a script between markers, and ends all that it started once standard input ends: when this process is killed,
 * the engine's client dies with it and the input ends, while the program in the container would go on (pg_dump did, in
 * every client tried). Inherited variables that would lead libpq elsewhere are left out, and complaints come in English,
 * for that is how they are known. Needs nothing but `sh`.
 *
 * **No shell here dies before its children.** In PostgreSQL's own container the server is process 1 and inherits every
 * orphan; one that ends by a signal or with another code than 0 or 1 it takes for a crashed session of its own, and
 * throws out all others (postmaster.c, CleanupBackend; seen with 15.18). So the signal that ends the group is caught by
 * the shells, which wait for what they started, and the watcher is waited for too.
 *
 * The watcher is ended by a signal that nothing catches: until it runs it has the traps of the shell that forked it, and
 * one that has caught its end is waited for without end (4 of 87 quick scripts, dash, on a busy machine).
 */
const LEASHED = `m=$1 s=$2; shift 2; unset PGSERVICE PGHOSTADDR PGOPTIONS; export LC_ALL=C; trap : TERM; trap '' PIPE; exec 3<&0
echo "$m start" >&2; { while read -r _ <&3; do :; done; kill -TERM 0; } >/dev/null 2>&1 &
w=$!; sh -c "trap : TERM; $s" tool "$@" </dev/null 3<&-; r=$?
kill -KILL "$w" 2>/dev/null; wait "$w" 2>/dev/null; printf '\\n%s end %s\\n' "$m" "$r" >&2; exit "$r"`

/** What reads its input ends by itself when that ends. */
const FED = `m=$1 s=$2; shift 2; unset PGSERVICE PGHOSTADDR PGOPTIONS; export LC_ALL=C; trap : TERM; trap '' PIPE
echo "$m start" >&2; sh -c "trap : TERM; $s" tool "$@"; r=$?
printf '\\n%s end %s\\n' "$m" "$r" >&2; exit "$r"`

/**
 * For a container of its own, whose end ends whatever is left in it: the program gets ten seconds to end by itself. No
 * markers, for the engine tells how it ended.
 */
const LEASHED_CONTAINER = `exec 3<&0; "$@" </dev/null 3<&- & p=$!
{ while read -r _ <&3; do :; done; kill -TERM "$p"; sleep 10; kill -KILL "$p"; } >/dev/null 2>&1 & w=$!
exec 3<&-; wait "$p"; r=$?; kill -KILL "$w" 2>/dev/null; exit "$r"`

/** Enough for a start marker and the first complaints, and for the last ones and the end marker. */
const KEPT = 32 * 1024

/** Returns the words that run the script on a leash. */
export function leashed({ script, args = [], fed }: ToolScript, nonce: string): string[] {
  return ['sh', '-c', fed ? FED : LEASHED, 'mstdn-ops', nonce, script, ...args]
}

/** Returns the words of a container that ends when its standard input does. */
export function leashedContainer(argv: readonly string[]): string[] {
  return ['sh', '-c', LEASHED_CONTAINER, 'mstdn-ops', ...argv]
}

/** Returns the run of what {@link leashed} started. */
export function toolRun(channel: Channel, nonce: string, { what, effect }: ToolScript): ToolRun {
  const said = bounded(channel)
  const ended = channel.ended.then(exitCode => {
    const outcome = { stdout: '', stderr: said(), exitCode, planned: false }
    return believed(outcome, nonce, what, effect)
  })
  // Asked for when the streams have ended; until then nobody may be listening.
  ended.catch(() => undefined)
  return { stdin: channel.stdin, stdout: unlost(channel.stdout), ended, kill: () => channel.kill('SIGKILL') }
}

/** Node throws away what nobody has begun to read when the process exits, be it for the opening of a file. */
function unlost(stdout: Readable): Readable {
  return pipeline(stdout, new PassThrough(), () => undefined)
}

/** Returns a function that tells the beginning and the end of standard error so far. */
function bounded(channel: Channel): () => string {
  let head = ''
  let tail = ''
  channel.stderr.setEncoding('utf8')
  channel.stderr.on('data', (text: string) => {
    const room = KEPT - head.length
    head += text.slice(0, Math.max(0, room))
    tail = (tail + text.slice(Math.max(0, room))).slice(-KEPT)
  })
  return () => head + tail
}
