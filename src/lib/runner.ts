import type { ChildProcess } from 'node:child_process'
import { openSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import type { Options } from 'execa'
import { OutcomeUnknownError, RefusedError } from './errors.js'
import type { Ledger } from './ledger.js'
import type { Output } from './output.js'
import { shellLine } from './text.js'

/** What a process does to the world: reads run always, writes only outside of a dry run. */
export type Effect = 'read' | 'write'

/** A process to start, built by an adapter and handed to the {@link Runner}. Secrets never stand in `args`. */
export interface Invocation {
  file: string
  args: readonly string[]
  /** Added to the environment of this process. */
  env?: Readonly<Record<string, string>>
  cwd?: string
  /** Text for the standard input; without it the input is empty. */
  stdin?: string
  effect: Effect
  /** Milliseconds after which the process group is ended. */
  timeoutMs?: number
  /** The line that an operator would type; the quoted command where absent. */
  byHand?: string
}

export interface Outcome {
  stdout: string
  stderr: string
  /** The process's own code; 128 + n when it ended by a signal. */
  exitCode: number
  /** True in a dry run: nothing was started. */
  planned: boolean
}

/** A running process with its streams, for relays, dumps and followed logs. */
export interface Channel {
  stdin: Writable
  stdout: Readable
  stderr: Readable
  /** Resolves with the exit code when the process has ended. */
  ended: Promise<number>
  /** Ends the whole process group. */
  kill(signal?: NodeJS.Signals): void
}

/** Names the run in the environment of what it starts to write: by it a resume finds what a killed run left at work. */
export const RUN_VARIABLE = 'MSTDN_RUN_ID'

const PLANNED: Outcome = { stdout: '', stderr: '', exitCode: 0, planned: true }
const MOST_OUTPUT = 64 * 1024 * 1024

/**
 * The one door through which processes are started.
 *
 * In a dry run writes are recorded and not started. Every child has a process group of its own, so that a Ctrl-C
 * reaches this process alone: docker CLI 28 exits 0 when it is interrupted itself.
 */
export class Runner {
  readonly #output: Output
  readonly #ledger: Ledger
  readonly dryRun: boolean
  /** The run that is under way. */
  runId: string | undefined
  #changes = 0

  constructor(parts: { output: Output; ledger: Ledger; dryRun?: boolean }) {
    this.#output = parts.output
    this.#ledger = parts.ledger
    this.dryRun = parts.dryRun ?? false
  }

  /** Returns how many times a write has begun or ended here: what was seen at a lower number may be out of date. */
  get changes(): number {
    return this.#changes
  }

  /**
   * Runs to the end and returns what it printed and its code; a code other than 0 is no error here.
   *
   * @throws RefusedError when the program does not exist; OutcomeUnknownError when the time limit ended it.
   */
  async run(invocation: Invocation, onLine?: (line: string) => void): Promise<Outcome> {
    if (!this.#admit(invocation)) return PLANNED
    const { execa } = await import('execa')
    const child = execa(invocation.file, [...invocation.args], {
      ...this.#options(invocation),
      ...(invocation.stdin === undefined ? { stdin: 'ignore' as const } : { input: invocation.stdin }),
      maxBuffer: MOST_OUTPUT,
    })
    const stopTimer = this.#limit(child, invocation)
    if (onLine) followLines(child.stdout, onLine)
    const result = await child
    const timedOut = stopTimer()
    this.#countChange(invocation)
    if (result.code === 'ENOENT') throw programMissing(invocation.file)
    if (timedOut) throw timeLimit(invocation)
    const exitCode = codeOf(result.exitCode, result.signal)
    this.#output.debug(`exit ${exitCode}: ${shellLine([invocation.file, ...invocation.args])}`)
    return { stdout: String(result.stdout ?? ''), stderr: String(result.stderr ?? ''), exitCode, planned: false }
  }

  /** Starts a process whose streams the caller uses. Only for reads, or where the caller has asked {@link plans}. */
  async open(invocation: Invocation): Promise<Channel> {
    this.#output.debug(`open: ${shellLine([invocation.file, ...invocation.args])}`)
    const { spawn } = await import('node:child_process')
    const child = spawn(invocation.file, [...invocation.args], {
      ...(invocation.cwd === undefined ? {} : { cwd: invocation.cwd }),
      env: { ...process.env, ...invocation.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    return channelOf(child, invocation.file)
  }

  /** Gives the terminal to the process (shell, console, psql) and returns its exit code. */
  async interactive(invocation: Invocation): Promise<number> {
    if (!this.#admit(invocation)) return 0
    const { execa } = await import('execa')
    const ignoreInterrupt = () => undefined
    process.on('SIGINT', ignoreInterrupt)
    try {
      const result = await execa(invocation.file, [...invocation.args], {
        ...this.#options(invocation),
        detached: false,
        stdio: 'inherit',
      })
      if (result.code === 'ENOENT') throw programMissing(invocation.file)
      return codeOf(result.exitCode, result.signal)
    } finally {
      this.#countChange(invocation)
      process.off('SIGINT', ignoreInterrupt)
    }
  }

  /** Starts a process that outlives this one, its output appended to `logFile`; returns its process id. */
  async daemon(invocation: Invocation, to: { logFile: string }): Promise<{ pid: number }> {
    const { spawn } = await import('node:child_process')
    const log = openSync(to.logFile, 'a', 0o600)
    const child = spawn(invocation.file, [...invocation.args], {
      ...(invocation.cwd === undefined ? {} : { cwd: invocation.cwd }),
      env: { ...process.env, ...invocation.env },
      stdio: ['ignore', log, log],
      detached: true,
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', () => reject(programMissing(invocation.file)))
    })
    child.unref()
    return { pid: child.pid ?? 0 }
  }

  /** Records a write and tells whether it may happen: false in a dry run. */
  #admit(invocation: Invocation): boolean {
    if (invocation.effect === 'read') return true
    this.#countChange(invocation)
    const exact = shellLine([invocation.file, ...invocation.args])
    this.#ledger.record({ kind: 'command', exact, byHand: invocation.byHand ?? exact })
    return !this.dryRun
  }

  #countChange({ effect }: Invocation): void {
    if (effect === 'write') this.#changes += 1
  }

  #options(invocation: Invocation) {
    return {
      ...(invocation.cwd === undefined ? {} : { cwd: invocation.cwd }),
      env: { ...invocation.env, ...this.#mark(invocation) },
      reject: false,
      detached: true,
      cleanup: true,
      stripFinalNewline: false,
      windowsHide: true,
    } satisfies Options
  }

  #mark({ effect }: Invocation): Record<string, string> {
    return effect === 'write' && this.runId !== undefined ? { [RUN_VARIABLE]: this.runId } : {}
  }

  #limit(child: { pid?: number | undefined }, invocation: Invocation): () => boolean {
    if (invocation.timeoutMs === undefined) return () => false
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      killGroup(child.pid, 'SIGKILL')
    }, invocation.timeoutMs)
    return () => {
      clearTimeout(timer)
      return timedOut
    }
  }
}

function followLines(stream: Readable | null, onLine: (line: string) => void): void {
  let rest = ''
  // A letter of several bytes may come in two pieces.
  const decoder = new StringDecoder('utf8')
  stream?.on('data', (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  })
  stream?.on('end', () => {
    if (rest !== '') onLine(rest)
  })
}

function channelOf(child: ChildProcess, file: string): Channel {
  const { stdin, stdout, stderr } = child
  if (!stdin || !stdout || !stderr) throw programMissing(file)
  // A process that ends while it is written to closes its input: the exit code tells the story, not EPIPE.
  stdin.on('error', () => undefined)
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', () => reject(programMissing(file)))
    child.once('close', (code, signal) => resolve(codeOf(code ?? undefined, signal ?? undefined)))
  })
  ended.catch(() => undefined)
  return { stdin, stdout, stderr, ended, kill: (signal = 'SIGTERM') => killGroup(child.pid, signal) }
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {
    // The group has ended already.
  }
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGPIPE: 13, SIGTERM: 15 }

function codeOf(exitCode: number | undefined, signal: string | undefined): number {
  if (exitCode !== undefined) return exitCode
  return 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0)
}

/** Whether this is the error of a program that does not exist. */
export function programIsMissing(error: unknown): boolean {
  return error instanceof RefusedError && error.code === 'program-missing'
}

function programMissing(file: string): RefusedError {
  return new RefusedError({
    code: 'program-missing',
    message: `The program ${file} was not found.`,
    cause: 'It is not installed, or not on PATH.',
    next: `Install ${file}, or add its folder to PATH, and run the command again.`,
  })
}

function timeLimit(invocation: Invocation): Error {
  const parts = {
    code: 'time-limit',
    message: `${invocation.file} gave no answer within ${Math.round((invocation.timeoutMs ?? 0) / 1000)} s.`,
    cause: shellLine([invocation.file, ...invocation.args]),
  }
  if (invocation.effect === 'read')
    return new RefusedError({ ...parts, next: 'See whether the engine is well, then run the command again.' })
  return new OutcomeUnknownError({ ...parts, next: 'Look at the result before you run it again.' })
}
