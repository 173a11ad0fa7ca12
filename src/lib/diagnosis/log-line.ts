/* biome-ignore-all lint/suspicious/noControlCharactersInRegex: finding control characters is this file's purpose */

/** A line without what stands in front of it by the way it was kept. */
export interface LogLine {
  text: string
  /** Which process or container said it, where the line tells. */
  source?: string
  /** When, as it stands there. */
  time?: string
}

/** Colours and other sequences of a terminal, also as JSON writes them. */
const ESCAPES = /(?:\u001b|\\u001b)(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\u0007\u001b\n]{0,200}(?:\u0007|\u001b\\))/g

/** Returns the text without sequences of a terminal, and without the zero bytes of a file in UTF-16. */
export function withoutEscapes(text: string): string {
  const plain = text.includes('\0') ? text.replaceAll('\0', '') : text
  return plain.includes('\u001b') || plain.includes('\\u001b') ? plain.replaceAll(ESCAPES, '') : plain
}

/** `2026-01-02T03:04:05.678901+00:00 app[web.1]: text`, as Heroku prints it. */
const HEROKU = /^(\d{4}-\d\d-\d\dT\S{1,40}) \w{1,20}(\[[^\]\s]{1,60}\]): ?/
/** `web-1  | text`, as compose prints it. */
const COMPOSE = /^([A-Za-z0-9][\w.-]{0,80}) {1,40}\| /
const ISO = /\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z| ?[+-]\d\d:?\d\d| UTC)?/
/** As Redis writes it. */
const DAY_FIRST = /\b\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d(?:\.\d{1,6})?/

/** How much of a line is looked at for its time. */
const HEAD = 300

/** Returns the parts of a line from a file of the engine, from compose, from Heroku, or of a plain log. */
export function logLineOf(line: string): LogLine {
  if (line.startsWith('{"log":"')) return ofJson(line)
  const heroku = HEROKU.exec(line)
  if (heroku !== null) return { text: line.slice(heroku[0].length), source: `app${heroku[2]}`, time: heroku[1] ?? '' }
  const compose = COMPOSE.exec(line)
  const text = compose === null ? line : line.slice(compose[0].length)
  return { text, ...(compose?.[1] === undefined ? {} : { source: compose[1] }), ...timeIn(text) }
}

function timeIn(text: string): { time?: string } {
  const head = text.slice(0, HEAD)
  const [time] = ISO.exec(head) ?? DAY_FIRST.exec(head) ?? []
  return time === undefined ? {} : { time }
}

/** `{"log":"text\n","stream":"stderr","time":"…"}`, also where its end is missing. */
function ofJson(line: string): LogLine {
  const end = line.lastIndexOf('","stream":"')
  const text = unescaped(line.slice('{"log":"'.length, end < 0 ? undefined : end))
  const [, time] = /"time":"([^"]{1,40})"/.exec(end < 0 ? '' : line.slice(end)) ?? []
  return { text, ...(time === undefined ? timeIn(text) : { time }) }
}

const SHORT: Readonly<Record<string, string>> = { n: '', r: '', t: '\t', b: '', f: '' }

function unescaped(json: string): string {
  return json.replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, code: string | undefined, sign: string) =>
    code === undefined ? (SHORT[sign] ?? sign) : String.fromCharCode(Number.parseInt(code, 16)),
  )
}
