import { mkdir, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeSynced } from '../../atomic-file.js'
import { OutcomeUnknownError, RefusedError } from '../../errors.js'
import { STILL_RUNNING } from '../../runbook/settle.js'
import { shellLine } from '../../text.js'
import type { AppCommand, AppOutcome } from '../backend.js'
import { readText, toRecord } from '../json.js'
import { randomNonce } from '../nonce.js'
import type { Dyno, HerokuApp } from './app.js'
import { ownLines, withVariables } from './framed.js'
import { logLines } from './log-session.js'
import { notStarted } from './not-started.js'
import { TOO_LATE } from './platform-api.js'

/** Milliseconds between two looks whether the dyno still runs: 4,500 requests an hour are allowed. */
const LOOK_MS = 2_000
/** The last lines of a dyno may come this much later than its end. */
const LATE_MS = 15_000
const PAUSE_MS = 500
/** Where the answer to a start is lost, so many looks with a pause between them tell whether there is a dyno. */
const LOOKS = 5
const LOOK_PAUSE_MS = 1_500
/** Milliseconds of uninterrupted failure after which nobody looks any more. */
const BLIND_MS = 600_000
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
 * read instead of starting a second one. The mark goes once the outcome was read, or the start was refused.
 *
 * @throws RefusedError when it could not be started; OutcomeUnknownError when its end cannot be read in the log, when
 * the list of dynos could not be read for ten minutes, or when it cannot be told whether it was started.
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
  const former = await readMark(file)
  const earlier = former === undefined ? undefined : await seen(app, former)
  const ended = former === undefined || earlier ? undefined : await readEnvelope(app, former).catch(unread(app))
  if (ended) return ended
  // Lines of two runs under one mark could not be told apart.
  const mark = former !== undefined && earlier ? former : `mstdn-ops-${(app.parts.nonce ?? randomNonce)()}`
  const dyno = earlier?.name ?? (await startedAnew(app, command, mark, file))
  await followed(app, dyno, mark, command.onLine)
  return envelopeOf(app, dyno, mark)
}

/** The mark is there before the dyno, and goes where nothing runs. */
async function startedAnew(app: HerokuApp, command: AppCommand, mark: string, file: string): Promise<string> {
  await writeMark(file, mark)
  try {
    return await started(app, detachedCommand(command, mark), mark)
  } catch (error) {
    if (error instanceof RefusedError) await rm(file, { force: true })
    throw error
  }
}

/**
 * Returns once no dyno of the mark runs any more; the mark goes.
 *
 * @throws OutcomeUnknownError when the list of dynos could not be read for ten minutes; the mark stays.
 */
export async function untilDetachedOver(app: HerokuApp, file: string): Promise<void> {
  const mark = await readMark(file)
  if (mark === undefined) return
  while ((await seen(app, mark)) !== undefined) await sleep(LOOK_MS)
  await rm(file, { force: true })
}

async function readMark(file: string): Promise<string | undefined> {
  return (await readFile(file, 'utf8').catch(() => '')).trim() || undefined
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

/** Returns the mark's dyno, if there is one. A look that fails ends no run: it goes on without being looked at. */
async function seen(app: HerokuApp, mark: string): Promise<Dyno | undefined> {
  const since = Date.now()
  for (;;) {
    try {
      return await withMark(app, mark)
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error
      if (Date.now() - since > BLIND_MS) throw notLookedAt(app, error)
      app.parts.output.debug(`heroku: the dynos cannot be looked at: ${error.why ?? error.message}`)
    }
    await sleep(LOOK_MS)
  }
}

/** Returns the dyno's name. Where the answer is lost, the list tells whether it was made. */
async function started(app: HerokuApp, words: string, mark: string): Promise<string> {
  const body = { command: `${await app.launcher()}${words}`, attach: false }
  try {
    const answer = await app.api.send({ method: 'POST', path: app.path('/dynos'), body })
    return readText(toRecord(answer).name) || 'run'
  } catch (error) {
    if (error instanceof OutcomeUnknownError) return foundAfterAll(app, mark, error)
    if (error instanceof RefusedError && error.code !== 'heroku-unreachable')
      throw await notStarted(app, 'A one-off dyno', error.why ?? error.message)
    throw error
  }
}

async function foundAfterAll(app: HerokuApp, mark: string, lost: OutcomeUnknownError): Promise<string> {
  let failed = 0
  for (let look = 0; look < LOOKS; look += 1) {
    if (look > 0) await sleep(LOOK_PAUSE_MS)
    const looked = await withMark(app, mark).catch(() => 'failed' as const)
    if (looked === 'failed') failed += 1
    else if (looked) return looked.name
  }
  // It may have been made, and have ended before anybody looked.
  if (await readEnvelope(app, mark).catch(unread(app))) return 'run'
  // What was answered too late may be under way still.
  throw failed > 0 || lost.why?.startsWith(TOO_LATE) ? startNotSeen(app, lost) : noneStarted()
}

function noneStarted(): RefusedError {
  return new RefusedError({
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
    while ((await seen(app, mark)) !== undefined) await sleep(LOOK_MS)
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
    const outcome = await readEnvelope(app, mark, dyno).catch(unread(app))
    if (outcome) return outcome
    if (Date.now() > deadline) throw endNotSeen(app, dyno)
    await sleep(PAUSE_MS)
  }
}

/** Returns what takes a log that cannot be read for one that holds nothing. */
function unread(app: HerokuApp): (error: unknown) => undefined {
  return error => void app.parts.output.debug(`heroku: the log cannot be read: ${String(error)}`)
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

function startNotSeen(app: HerokuApp, lost: OutcomeUnknownError): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: STILL_RUNNING,
    message: `Whether a one-off dyno was started on ${app.name} is not known.`,
    cause: `${lost.message} ${lost.why ?? ''}`.trim(),
    next: `${app.byHand(['ps'])}, then: mstdn-ops resume (it looks for the dyno first)`,
  })
}

function notLookedAt(app: HerokuApp, error: RefusedError): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: STILL_RUNNING,
    message: `Whether a one-off dyno of ${app.name} still runs is not known.`,
    cause: `For ten minutes its dynos could not be looked at. ${error.why ?? error.message}`,
    next: 'mstdn-ops resume (it looks for the dyno first, and starts no second one while that runs)',
  })
}
