import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, OutcomeUnknownError, RefusedError } from '../../errors.js'
import type { LogRequest, Logs } from '../backend.js'
import type { HerokuApp } from './app.js'
import { BROKEN_OFF, type LogLine, type LogQuestion, logLines } from './log-session.js'

/** Milliseconds until a session that has ended is opened anew: the platform ends each of them after a while. */
const PAUSE_MS = 1_000

/** By log sessions of the Platform API, a session for each process type. */
export class HerokuLogs implements Logs {
  readonly #app: HerokuApp

  constructor(app: HerokuApp) {
    this.#app = app
  }

  async read(request: LogRequest): Promise<void> {
    const types = (await this.#app.typesOf(request.roles)).map(({ name }) => name)
    await (request.follow ? this.#follow(types, request) : this.#recent(types, request))
  }

  /** The lines of all types in the order of their times. */
  async #recent(types: readonly string[], { lines, onLine }: LogRequest): Promise<void> {
    const read = await Promise.all(types.map(dyno => this.#linesOf(dyno, lines)))
    const inOrder = read.flat().sort((a, b) => (a.time < b.time ? -1 : Number(a.time > b.time)))
    for (const line of inOrder) onLine(line.text, line.source, line.time)
  }

  async #linesOf(dyno: string, lines: number): Promise<LogLine[]> {
    if (lines === 0) return []
    const found: LogLine[] = []
    for await (const line of logLines(this.#app, { dyno, lines, tail: false })) found.push(line)
    return found.slice(-lines)
  }

  /** Until the signal; where one type cannot be followed, none is. */
  async #follow(types: readonly string[], request: LogRequest): Promise<void> {
    const stop = new AbortController()
    const signal = AbortSignal.any([stop.signal, ...(request.signal === undefined ? [] : [request.signal])])
    const follow = async (dyno: string) => {
      await this.#followType(dyno, { ...request, signal }).finally(() => stop.abort())
    }
    await Promise.all(types.map(follow))
  }

  async #followType(dyno: string, request: LogRequest & { signal: AbortSignal }): Promise<void> {
    const { signal } = request
    for (let first = true; !signal.aborted; first = false) {
      const lines = first ? request.lines : 0
      const error = await this.#session({ dyno, lines, tail: true, signal }, request.onLine)
      if (signal.aborted) return
      if (error !== undefined && !mayPass(error, first)) throw error
      this.#app.parts.output.debug(
        `heroku: the log of ${dyno} is opened anew: ${error ? messageOf(error) : 'it ended'}`,
      )
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Hands a session's lines on to its end; returns what broke it off. */
  async #session(question: LogQuestion, onLine: LogRequest['onLine']): Promise<unknown> {
    try {
      for await (const line of logLines(this.#app, question)) onLine(line.text, line.source)
      return undefined
    } catch (error) {
      return error
    }
  }
}

/** What was open may break off; once it was, the network may be away for a while. */
function mayPass(error: unknown, first: boolean): boolean {
  if (error instanceof RefusedError && error.code === BROKEN_OFF) return true
  return !first && (error instanceof OutcomeUnknownError || isUnreachable(error))
}

function isUnreachable(error: unknown): boolean {
  return error instanceof RefusedError && error.code === 'heroku-unreachable'
}
