import type { LogRequest, Logs } from '../backend.js'
import type { HerokuApp } from './app.js'
import { type LogLine, logLines } from './log-session.js'

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
    for (const line of inOrder) onLine(line.text, line.source)
  }

  async #linesOf(dyno: string, lines: number): Promise<LogLine[]> {
    const found: LogLine[] = []
    for await (const line of logLines(this.#app, { dyno, lines, tail: false })) found.push(line)
    return found.slice(-lines)
  }

  async #follow(types: readonly string[], { lines, signal, onLine }: LogRequest): Promise<void> {
    const follow = async (dyno: string) => {
      const question = { dyno, lines, tail: true, ...(signal === undefined ? {} : { signal }) }
      for await (const line of logLines(this.#app, question)) onLine(line.text, line.source)
    }
    await Promise.all(types.map(follow)).catch((error: unknown) => {
      if (!signal?.aborted) throw error
    })
  }
}
