import { Redactor } from './redact.js'
import { printable } from './text.js'

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'
export const LOG_LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug']

export interface OutputOptions {
  quiet?: boolean
  json?: boolean
  logLevel?: LogLevel
  stdout?: NodeJS.WriteStream
  stderr?: NodeJS.WriteStream
  redactor?: Redactor
}

/**
 * Results go to stdout, everything else to stderr. Secrets and control characters reach neither.
 *
 * A lost terminal (SIGHUP, EPIPE) never ends a run: what cannot be written is dropped, the journal has it.
 */
export class Output {
  readonly redactor: Redactor
  readonly quiet: boolean
  readonly json: boolean
  readonly #level: number
  readonly #stdout: NodeJS.WriteStream
  readonly #stderr: NodeJS.WriteStream
  #copy: ((line: string) => void) | undefined

  constructor(options: OutputOptions = {}) {
    this.redactor = options.redactor ?? new Redactor()
    this.quiet = options.quiet ?? false
    this.json = options.json ?? false
    this.#level = LOG_LEVELS.indexOf(options.logLevel ?? 'info')
    this.#stdout = options.stdout ?? process.stdout
    this.#stderr = options.stderr ?? process.stderr
  }

  /** Whether a person watches: progress may be drawn. */
  get drawn(): boolean {
    return this.#stderr.isTTY === true && !this.quiet
  }

  /** The width of the terminal, 80 where there is none. */
  get columns(): number {
    return this.#stdout.columns ?? 80
  }

  /** Sends a copy of every line to the log of the run. */
  copyTo(copy: ((line: string) => void) | undefined): void {
    this.#copy = copy
  }

  /** The answer of the command. Under `--json` the result is printed by the command itself. */
  result(text: string): void {
    write(this.#stdout, this.clean(text))
  }

  info(text: string): void {
    this.#log('info', text)
  }

  warn(text: string): void {
    this.#log('warn', text)
  }

  error(text: string): void {
    this.#log('error', text)
  }

  debug(text: string): void {
    this.#log('debug', text)
  }

  /** Returns the text without secrets and with control characters made visible. */
  clean(text: string): string {
    return printable(this.redactor.text(text))
  }

  #log(level: LogLevel, text: string): void {
    const clean = this.clean(text)
    this.#copy?.(clean)
    if (LOG_LEVELS.indexOf(level) > this.#level) return
    if (this.quiet && level === 'info') return
    write(this.#stderr, clean)
  }
}

function write(stream: NodeJS.WriteStream, text: string): void {
  if (stream.destroyed || !stream.writable) return
  try {
    stream.write(`${text}\n`)
  } catch {
    // A closed pipe: the reader is gone, the work goes on.
  }
}
