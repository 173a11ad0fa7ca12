import { messageOf, RefusedError } from '../../errors.js'
import { printableLine } from '../../text.js'
import { readText, toRecord } from '../json.js'
import type { HerokuApp } from './app.js'

/** One line of the app's log, `2026-01-02T03:04:05.678901+00:00 app[web.1]: text` where Heroku prints it. */
export interface LogLine {
  time: string
  /** The dyno, or the platform's part that speaks of it: `web.1`, `router`. */
  source: string
  /** `app` for what the dyno printed, `heroku` for what the platform says. */
  from: string
  text: string
}

export interface LogQuestion {
  /** A dyno (`web.1`) or a process type (`web`); everything where absent. */
  dyno?: string
  /** At most 1,500 are kept. */
  lines: number
  /** Goes on with new lines until the signal. */
  tail: boolean
  signal?: AbortSignal
}

/** The code of the error of a session that was open and broke off. */
export const BROKEN_OFF = 'heroku-log-broken'

/**
 * Yields the lines of a log session; ends by itself unless it was asked to go on.
 *
 * @throws RefusedError when no session is to be had, or when it breaks off; the signal's own reason when that ends it.
 */
export async function* logLines(app: HerokuApp, question: LogQuestion): AsyncGenerator<LogLine> {
  const { dyno, lines, tail, signal = new AbortController().signal } = question
  if (signal.aborted) return
  const body = { lines, tail, ...(dyno === undefined ? {} : { dyno }) }
  const session = toRecord(await app.api.send({ method: 'POST', path: app.path('/log-sessions'), body }))
  const response = await app.api.stream(readText(session.logplex_url), signal)
  const isEvents = response.headers.get('content-type')?.includes('event-stream') ?? false
  for await (const line of textLines(response, signal)) {
    if (isEvents && !line.startsWith('data:')) continue
    const found = logLineOf(isEvents ? line.replace(/^data: ?/, '') : line)
    if (found) yield found
  }
}

/** Returns the parts of a line; undefined for what is none, like the pause signs of a session. */
export function logLineOf(line: string): LogLine | undefined {
  // What a dyno prints may hold any sign but the line's end, carriage returns and U+2028 among them.
  const [, time, from, source, text] = /^(\S+) (\w+)\[([^\]]+)\]: ?(.*)$/s.exec(line) ?? []
  if (time === undefined || from === undefined || source === undefined || text === undefined) return undefined
  return { time, from, source, text }
}

async function* textLines(response: Response, signal: AbortSignal): AsyncGenerator<string> {
  if (response.body === null) return
  let rest = ''
  const decoder = new TextDecoder()
  try {
    for await (const chunk of response.body) {
      const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) yield line.replace(/\r$/, '')
    }
  } catch (error) {
    throw signal.aborted ? error : brokenOff(error)
  }
  if (rest !== '') yield rest
}

function brokenOff(error: unknown): RefusedError {
  return new RefusedError({
    code: BROKEN_OFF,
    message: "The connection to Heroku's log broke off.",
    cause: printableLine(messageOf(error)),
    next: 'Run the command again.',
  })
}
