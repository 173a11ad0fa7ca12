import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { OutcomeUnknownError, RefusedError } from '../../errors.js'
import { STILL_RUNNING } from '../../runbook/settle.js'
import { type Invocation, type Outcome, programIsMissing } from '../../runner.js'
import { printableLine, shellLine } from '../../text.js'
import type { AppCommand, AppOutcome, Excuse, OneOff } from '../backend.js'
import { randomNonce } from '../nonce.js'
import type { Dyno, HerokuApp } from './app.js'
import { runDetached, untilDetachedOver } from './detached.js'
import { type Framed, framedCommand, framedInput, oneWord, ownLines, readFramed, withVariables } from './framed.js'
import { noClient } from './login.js'
import { notStarted } from './not-started.js'
import type { ReleaseMemory } from './release-memory.js'

/** Milliseconds in which the platform ends a one-off whose client is gone. */
const ENDING_MS = 30_000
const PAUSE_MS = 500
/** Messages on one line, and nothing that is not asked for. */
const QUIET = { OCLIF_COLUMNS: '400', NO_COLOR: '1', HEROKU_SKIP_NEW_VERSION_CHECK: 'true' }

/** One-off dynos, by `heroku run`; long ones detached, for an attached one dies with its client. */
export class HerokuOneOff implements OneOff {
  readonly losesFiles: Excuse = {
    cause: 'A dyno has a disk of its own, which is thrown away when it ends.',
    next: 'Deploy it: what is built or added when the app is deployed is on every dyno (git push heroku main).',
  }
  readonly isApart = true
  readonly #app: HerokuApp
  readonly #memory: ReleaseMemory
  /** Where the marks of long one-offs stand while these run. */
  readonly #folder: string

  constructor(app: HerokuApp, memory: ReleaseMemory, folder: string) {
    this.#app = app
    this.#memory = memory
    this.#folder = folder
  }

  async run(command: AppCommand): Promise<AppOutcome> {
    if (command.longKey !== undefined) {
      return runDetached(this.#app, command, { file: this.#markFile(command.longKey), byHand: this.byHand(command) })
    }
    if (command.ofRelease && command.effect === 'read') return this.#memory.recall(command, () => this.#again(command))
    return this.#attached(command)
  }

  /** What a release holds may be read as often as one likes: a connection that is lost once is no reason to fail. */
  async #again(command: AppCommand): Promise<AppOutcome> {
    return this.#attached(command).catch((error: unknown) => {
      if (!(error instanceof RefusedError) || error.code !== 'end-not-seen') throw error
      this.#app.parts.output.debug(`heroku: ${error.message} It is read once more.`)
      return this.#attached(command)
    })
  }

  untilOver(longKey: string): Promise<void> {
    return untilDetachedOver(this.#app, this.#markFile(longKey))
  }

  async interactive(command: AppCommand): Promise<number> {
    const args = ['run', '--exit-code', '--app', this.#app.name, '--', shellLine(withVariables(command))]
    const invocation: Invocation = { file: 'heroku', args, effect: command.effect, byHand: this.byHand(command) }
    return this.#app.parts.runner.interactive(invocation).catch(explainMissing)
  }

  byHand(command: AppCommand): string {
    return this.#app.byHand(['run', '--', oneWord(command)])
  }

  #markFile(longKey: string): string {
    return join(this.#folder, `one-off-${longKey.replace(/[^\w.-]/g, '_')}`)
  }

  async #attached(command: AppCommand): Promise<AppOutcome> {
    const { parts } = this.#app
    const mark = `mstdn-ops-${(parts.nonce ?? randomNonce)()}`
    const invocation = { ...runInvocation(this.#app.name, command, mark), byHand: this.byHand(command) }
    const twin = this.#twinAtStart(mark)
    const outcome = unquoted(
      await parts.runner.run(invocation, linesFor(command, mark, twin.onLine)).catch(explainMissing),
      framedCommand(command, mark),
    )
    if (outcome.planned) return outcome
    const framed = readFramed(outcome.stdout, mark)
    if (framed.exitCode === undefined) return this.#lost(command, mark, outcome, framed)
    const second = (await this.#stopLeft(mark, dynoOf(outcome))) || (await twin.seen())
    if (second && command.once) throw ranTwice(command)
    const { stdout, stderr, exitCode } = framed
    return { stdout, stderr, exitCode, planned: false }
  }

  /** A second dyno may have ended before the first: the list is looked at once more when the first begins. */
  #twinAtStart(mark: string): { onLine: (line: string) => void; seen: () => Promise<boolean> } {
    let looked: Promise<Dyno[]> | undefined
    const onLine = (line: string) => {
      if (line === `${mark} start`) looked ??= this.#marked(mark).catch(() => [])
    }
    return { onLine, seen: async () => ((await looked) ?? []).length > 1 }
  }

  /**
   * A request that was sent twice by the client has made two dynos, of which it attends to one. Returns whether; its own
   * may stand in the list for a moment after its end.
   */
  async #stopLeft(mark: string, own?: string): Promise<boolean> {
    const marked = await this.#marked(mark).catch(() => [])
    const left = marked.filter(({ name }) => name !== own)
    for (const dyno of left) {
      this.#app.parts.output.debug(`heroku: stopping ${dyno.name}, which nobody attends to`)
      await this.#stop(dyno)
    }
    // Where the client did not tell the name of its own, that may be the one that is left.
    return left.length > (own === undefined ? 1 : 0)
  }

  async #lost(command: AppCommand, mark: string, outcome: Outcome, framed: Framed): Promise<never> {
    const what = shellLine(command.argv.slice(0, 3))
    const complaint = complaintOf(outcome)
    if (!framed.started && REFUSED.test(`${complaint}\n${errorIdOf(outcome)}`) && (await this.#isGone(mark))) {
      throw await notStarted(this.#app, what, complaint)
    }
    const isGone = await this.#untilGone(mark)
    if (!isGone && command.effect === 'write') throw await this.#mayRunStill(mark, what, outcome)
    throw endNotSeen(command, what, complaint)
  }

  /** Whatever it did is settled only when it runs no more. Returns whether it does not; left alone, it is stopped. */
  async #untilGone(mark: string): Promise<boolean> {
    if (await this.#goesInTime(mark)) return true
    await this.#stopLeft(mark)
    return this.#goesInTime(mark)
  }

  async #goesInTime(mark: string): Promise<boolean> {
    const deadline = Date.now() + ENDING_MS
    while (!(await this.#isGone(mark))) {
      if (Date.now() > deadline) return false
      await sleep(PAUSE_MS)
    }
    return true
  }

  async #mayRunStill(mark: string, what: string, outcome: Outcome): Promise<OutcomeUnknownError> {
    const left = (await this.#marked(mark).catch(() => [])).map(({ name }) => name)
    const named = left.length > 0 ? left : [dynoOf(outcome)].filter(name => name !== undefined)
    const stops = named.map(name => this.#app.byHand(['ps:stop', '--dyno-name', name]))
    return new OutcomeUnknownError({
      code: STILL_RUNNING,
      message: `${what} may still run${named.length > 0 ? ` in ${named.join(', ')}` : ''}.`,
      cause: `The connection to its one-off dyno was lost. ${complaintOf(outcome)}`,
      next: [this.#app.byHand(['ps']), ...stops].join('; '),
    })
  }

  /** Where the list cannot be read it may be there still. */
  async #isGone(mark: string): Promise<boolean> {
    return this.#marked(mark).then(
      left => left.length === 0,
      () => false,
    )
  }

  async #marked(mark: string): Promise<Dyno[]> {
    const dynos = await this.#app.dynos()
    return dynos.filter(({ command, state }) => command.includes(mark) && state !== 'down' && state !== 'complete')
  }

  /** Cleaning up after ourselves is no change of the app. */
  async #stop(dyno: Dyno): Promise<void> {
    const path = this.#app.path(`/dynos/${encodeURIComponent(dyno.name)}/actions/stop`)
    await this.#app.api.send({ method: 'POST', path }).catch(() => undefined)
  }
}

/** `--exit-code` and `--no-tty` keep the client from changing the text; the code that counts is in the last mark. */
export function runInvocation(app: string, command: AppCommand, mark: string): Invocation {
  return {
    file: 'heroku',
    args: ['run', '--exit-code', '--no-tty', '--app', app, '--', framedCommand(command, mark)],
    env: QUIET,
    effect: command.effect,
    ...(command.stdin === undefined ? {} : { stdin: framedInput(command.stdin, mark) }),
    ...(command.timeoutMs === undefined ? {} : { timeoutMs: command.timeoutMs + ENDING_MS }),
  }
}

/** What the client says when the platform has made no dyno; after anything else there may be one. */
const REFUSED =
  /Error ID: |HTTP Error \d+ for |Missing required flag|Nonexistent flag|not logged in|HEROKU_API_KEY is invalid|Invalid credentials|Two-factor authentication requires/

function explainMissing(error: unknown): never {
  throw programIsMissing(error) ? noClient() : error
}

/** Returns the client's own complaint on one line, without its progress, its warnings and its arrow. */
export function complaintOf({ stderr }: Outcome): string {
  const lines = stderr.split('\n').map(line => line.replace(/^[ ›!▸»]+/, '').trim())
  const told = lines.filter(line => line !== '' && !/^(Running .*|Warning:.*|Error ID:.*)$/.test(line))
  const error = told.find(line => line.startsWith('Error:')) ?? told[0] ?? 'It gave no reason.'
  return printableLine(error.replace(/^Error: /, '')).slice(0, 400)
}

/** Returns the line in which the client passes on the API's own name of an error; empty where it does not. */
export function errorIdOf({ stderr }: Outcome): string {
  return /^[ ›!▸»]*(Error ID: .*)$/m.exec(stderr)?.[1] ?? ''
}

/** Returns the name that the client tells: `Running … on app... up, run.1234`, on Fir `up, run-abcd-efghi`. */
export function dynoOf({ stderr }: Outcome): string | undefined {
  return [...stderr.matchAll(/\.\.\. up, (\S+)/g)].at(-1)?.[1]
}

/** The client quotes the command, which may hold anything: also what it would say itself. */
export function unquoted(outcome: Outcome, command: string): Outcome {
  return { ...outcome, stderr: outcome.stderr.replaceAll(command, 'the command') }
}

/** Returns what gets each line of the client: the command's own filter, and who waits for the start. */
function linesFor(command: AppCommand, mark: string, watch: (line: string) => void) {
  const own = command.onLine && ownLines(mark, command.onLine)
  if (!command.once) return own
  return (line: string) => {
    watch(line)
    own?.(line)
  }
}

function ranTwice(command: AppCommand): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: 'ran-twice',
    message: `${shellLine(command.argv.slice(0, 3))} was started twice.`,
    cause: 'The client lost the answer to its request and sent it again; which of the two ended last is not known.',
    next: 'Look at what it was to change; where that may be done twice, run the command again.',
  })
}

function endNotSeen(command: AppCommand, what: string, complaint: string): Error {
  const parts = {
    code: 'end-not-seen',
    message: `The end of ${what} was not seen.`,
    cause: `The connection to the one-off dyno was lost. ${complaint}`,
  }
  if (command.effect === 'read') return new RefusedError({ ...parts, next: 'Run the command again.' })
  return new OutcomeUnknownError({ ...parts, next: 'Look at what it was to change before you run it again.' })
}
