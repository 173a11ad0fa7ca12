import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'

/** What a log session shows: as the platform's `dyno`, `source`, `lines` and `tail`. */
export interface LogFilter {
  /** A dyno (`web.1`) or a process type (`web`). */
  readonly dyno?: string
  readonly source?: string
  readonly lines: number
  readonly tail: boolean
}

interface Line {
  readonly number: number
  readonly source: string
  readonly dyno: string
  readonly text: string
}

/** How many lines the platform keeps (Dev Center, "Logging"). */
const KEPT = 1500

/** The app's log: what dynos print and what the platform says of them. */
export class Logs {
  #lines: Line[] = []
  #count = 0
  readonly #sessions = new Map<string, LogFilter>()
  readonly #listening = new Map<ServerResponse, LogFilter>()

  /** Adds a line as `2026-11-22T08:00:00.000000+00:00 app[web.1]: text`. */
  add(source: string, dyno: string, text: string): void {
    const at = new Date().toISOString().replace('Z', '000+00:00')
    const line = { number: ++this.#count, source, dyno, text: `${at} ${source}[${dyno}]: ${text}` }
    this.#lines = [...this.#lines, line].slice(-KEPT)
    for (const [response, filter] of this.#listening) if (fits(line, filter)) response.write(event(line))
  }

  /** Returns the id of a new session. */
  open(filter: LogFilter): string {
    const id = randomUUID()
    this.#sessions.set(id, filter)
    return id
  }

  /** Sends a session's lines as server-sent events; with `tail` the answer stays open. */
  stream(id: string, response: ServerResponse): void {
    const filter = this.#sessions.get(id)
    if (!filter) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' })
    response.flushHeaders()
    const lines = this.#lines.filter(line => fits(line, filter)).slice(-filter.lines)
    for (const line of lines) response.write(event(line))
    if (!filter.tail) response.end()
    else this.#keep(response, filter)
  }

  #keep(response: ServerResponse, filter: LogFilter): void {
    this.#listening.set(response, filter)
    response.on('close', () => this.#listening.delete(response))
  }

  /** All lines that are kept, oldest first. */
  texts(): string[] {
    return this.#lines.map(line => line.text)
  }
}

function fits(line: Line, { dyno, source }: LogFilter): boolean {
  const ofDyno = dyno === undefined || line.dyno === dyno || line.dyno.startsWith(`${dyno}.`)
  return ofDyno && (source === undefined || line.source === source)
}

const event = ({ number, text }: Line) => `id: ${number}\ndata: ${text}\n\n`
