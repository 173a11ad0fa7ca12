import { mkdir, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeSynced } from '../../atomic-file.js'
import { OutcomeUnknownError, RefusedError } from '../../errors.js'
import { shellLine } from '../../text.js'
import type { AppCommand, AppOutcome } from '../backend.js'
import { readText, toRecord } from '../json.js'
import { randomNonce } from '../nonce.js'
import type { Dyno, HerokuApp } from './app.js'
import { ownLines, withVariables } from './framed.js'
import { logLines } from './log-session.js'
import { notStarted } from './not-started.js'

/** Milliseconds between two looks whether the dyno still runs: 4,500 requests an hour are allowed. */
const LOOK_MS = 2_000
/** The last lines of a dyno may come this much later than its end. */
const LATE_MS = 15_000
const PAUSE_MS = 500
const LOOKS = 5
const MOST_LINES = 1_500
/** Bytes of output that are handed over at the end; with their envelope they fit into the lines that are kept. */
const MOST_OUTPUT = 600_000
const MOST_ERRORS = 100_000

/**
 * Prints what the command prints as it comes, and at its end everything once more in an envelope of numbered base64
 * lines: a log drops empty lines, cuts long ones and keeps no order. Standard error comes in the envelope alone.
 */
const SCRIPT = [
  'm=$1; shift; f=/tmp/$m; umask 077; echo "$m start"',
  '{ { "$@" </dev/null 2>"$f.error"; echo $? >"$f.code"; } | tee "$f.out"; } 2>>"$f.error"; echo',
  'envelope() { tail -c "$2" "$f.$1" | base64 -w 900 | grep -n "" | sed "s/^/$m $1 /"; }',
  `envelope out ${MOST_OUTPUT}; envelope error ${MOST_ERRORS}`,
  'lines() { tail -c "$2" "$f.$1" | base64 -w 900 | grep -c ""; }',
  `echo "$m end $(cat "$f.code") $(lines out ${MOST_OUTPUT}) $(lines error ${MOST_ERRORS})"`,
].join('; ')

/**
 * Runs work that outlives this process: in a detached one-off dyno whose command holds a mark that is written down
 * before, in the state folder.
 *
 * A mark that is there already is of a run that was killed: its dyno, or the envelope that it has left in the log, is
 * read instead of starting a second one. The mark goes once the outcome was read.
 *
 * @throws RefusedError when it could not be started; OutcomeUnknownError when its end cannot be read in the log.
 */
export async function runDetached(
  app: HerokuApp,
  command: AppCommand,
  notes: { file: string; byHand: string },
): Promise<AppOutcome> {
  const { file, byHand } = notes
  const exact = shellLine(['heroku', 'run:detached', '--app', app.name, '--', shellLine(withVariables(command))])
  if (command.effect === 'write') app.parts.ledger.record({ kind: 'command', exact, byHand })
  if (app.api.dryRun && command.effect === 'write') return { stdout: '', stderr: '', exitCode: 0, planned: true }
  const outcome = await attended(app, command, file)
  await rm(file, { force: true })
  return outcome
}

async function attended(app: HerokuApp, command: AppCommand, file: string): Promise<AppOutcome> {
  const former = await readFile(file, 'utf8').catch(() => undefined)
  const mark = former ?? `mstdn-ops-${(app.parts.nonce ?? randomNonce)()}`
  const earlier = former === undefined ? undefined : await withMark(app, mark)
  const ended = former === undefined || earlier ? undefined : await readEnvelope(app, mark)
  if (ended) return ended
  if (former === undefined) await writeMark(file, mark)
  const dyno = earlier?.name ?? (await started(app, detachedCommand(command, mark), mark))
  await followed(app, dyno, mark, command.onLine)
  return envelopeOf(app, dyno, mark)
}

/** Returns once no dyno of the mark runs any more; the mark goes. */
export async function untilDetachedOver(app: HerokuApp, file: string): Promise<void> {
  const mark = await readFile(file, 'utf8').catch(() => undefined)
  if (mark === undefined) return
  while ((await withMark(app, mark)) !== undefined) await sleep(LOOK_MS)
  await rm(file, { force: true })
}

async function writeMark(file: string, mark: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeSynced(file, mark)
}

export function detachedCommand(command: Pick<AppCommand, 'argv' | 'env'>, mark: string): string {
  return shellLine(['sh', '-c', SCRIPT, 'mstdn-ops', mark, ...withVariables(command)])
}

async function withMark(app: HerokuApp, mark: string): Promise<Dyno | undefined> {
  return (await app.dynos()).find(dyno => dyno.type === 'run' && dyno.command.includes(` ${mark} `))
}

/** Returns the dyno's name. Where the answer is lost, the list tells whether it was made. */
async function started(app: HerokuApp, words: string, mark: string): Promise<string> {
  const body = { command: `${await app.launcher()}${words}`, attach: false }
  try {
    const answer = await app.api.send({ method: 'POST', path: app.path('/dynos'), body })
    return readText(toRecord(answer).name) || 'run'
  } catch (error) {
    if (error instanceof OutcomeUnknownError) return foundAfterAll(app, mark)
    if (error instanceof RefusedError && error.code !== 'heroku-unreachable')
      throw await notStarted(app, 'A one-off dyno', error.why ?? error.message)
    throw error
  }
}

async function foundAfterAll(app: HerokuApp, mark: string): Promise<string> {
  for (let look = 0; look < LOOKS; look += 1) {
    const dyno = await withMark(app, mark)
    if (dyno) return dyno.name
    await sleep(PAUSE_MS)
  }
  // It may have been made, and have ended before anybody looked.
  if (await readEnvelope(app, mark)) return 'run'
  throw new RefusedError({
    code: 'one-off-not-started',
    message: 'A one-off dyno could not be started.',
    cause: "Heroku's answer was lost, and no such dyno is there.",
    next: 'Run the command again.',
  })
}

/** Returns once the dyno has ended; its lines are handed on while it runs, as far as the log brings them. */
async function followed(app: HerokuApp, dyno: string, mark: string, onLine?: (line: string) => void): Promise<void> {
  const stop = new AbortController()
  const told = onLine === undefined ? undefined : tell(app, dyno, ownLines(mark, onLine), stop.signal)
  try {
    while ((await withMark(app, mark)) !== undefined) await sleep(LOOK_MS)
  } finally {
    stop.abort()
    await told
  }
}

/** Progress only: what counts is read at the end. */
async function tell(app: HerokuApp, dyno: string, onLine: (line: string) => void, signal: AbortSignal): Promise<void> {
  try {
    const question = { dyno, lines: MOST_LINES, tail: true, signal }
    for await (const line of logLines(app, question)) if (line.from === 'app') onLine(line.text)
  } catch (error) {
    if (!signal.aborted) app.parts.output.debug(`heroku: the log broke off: ${String(error)}`)
  }
}

async function envelopeOf(app: HerokuApp, dyno: string, mark: string): Promise<AppOutcome> {
  const deadline = Date.now() + LATE_MS
  for (;;) {
    const outcome = await readEnvelope(app, mark, dyno).catch((error: unknown) => {
      app.parts.output.debug(`heroku: the log cannot be read: ${String(error)}`)
      return undefined
    })
    if (outcome) return outcome
    if (Date.now() > deadline) throw endNotSeen(app, dyno)
    await sleep(PAUSE_MS)
  }
}

async function readEnvelope(app: HerokuApp, mark: string, dyno = 'run'): Promise<AppOutcome | undefined> {
  const lines: string[] = []
  const question = { dyno, lines: MOST_LINES, tail: false }
  for await (const line of logLines(app, question)) if (line.text.startsWith(`${mark} `)) lines.push(line.text)
  return openEnvelope(lines, mark)
}

/** Returns what the lines tell; undefined until the end and every numbered line are there. */
export function openEnvelope(lines: readonly string[], mark: string): AppOutcome | undefined {
  const [, code, out, error] =
    lines.map(line => /^\S+ end (\d+) (\d+) (\d+)$/.exec(line)).find(found => found !== null) ?? []
  if (code === undefined) return undefined
  const stdout = unpacked(lines, `${mark} out `, Number(out))
  const stderr = unpacked(lines, `${mark} error `, Number(error))
  if (stdout === undefined || stderr === undefined) return undefined
  return { stdout, stderr, exitCode: Number(code), planned: false }
}

function unpacked(lines: readonly string[], prefix: string, count: number): string | undefined {
  const numbered = new Map<number, string>()
  for (const line of lines) {
    const [, at, text] = line.startsWith(prefix) ? (/^(\d+):(.*)$/.exec(line.slice(prefix.length)) ?? []) : []
    if (at !== undefined && text !== undefined) numbered.set(Number(at), text)
  }
  if (numbered.size !== count) return undefined
  const inOrder = [...numbered].sort(([a], [b]) => a - b).map(([, text]) => text)
  return Buffer.from(inOrder.join(''), 'base64').toString('utf8')
}

function endNotSeen(app: HerokuApp, dyno: string): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: 'end-not-seen',
    message: `How the one-off dyno ${dyno} ended is not known.`,
    cause: 'It runs no more, and the log does not hold its end: logs may be lost, and at most 1,500 lines are kept.',
    next: app.byHand(['logs', '-n', '1500']),
  })
}
