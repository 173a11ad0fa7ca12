/**
 * Sidekiq's job payloads, read without trust and changed without parsing them back: Mastodon's ids have 18 digits, which
 * a JSON parser of this language would round.
 */

/** Times beyond this are milliseconds: Sidekiq 8 writes whole milliseconds, earlier ones seconds with a fraction. */
const FIRST_MILLISECONDS = 100_000_000_000

/** Returns the payload as a record, undefined when it is none: whoever can write to Redis can write anything. */
export function parseRecord(payload: unknown): Record<string, unknown> | undefined {
  if (typeof payload !== 'string') return undefined
  try {
    const parsed: unknown = JSON.parse(payload)
    return parsed !== null && typeof parsed === 'object' && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

/** Returns the time that a payload or a heartbeat names in seconds or in milliseconds; undefined when it names none. */
export function timeOf(value: unknown): Date | undefined {
  const number = typeof value === 'string' ? Number.parseFloat(value) : value
  if (typeof number !== 'number' || !Number.isFinite(number) || number <= 0) return undefined
  const time = new Date(number >= FIRST_MILLISECONDS ? number : number * 1000)
  return Number.isNaN(time.getTime()) ? undefined : time
}

export interface RetriedJob {
  queue: string
  payload: string
}

/**
 * Returns the job as it is pushed to its queue when it is retried by hand: enqueued now, and the attempt not counted
 * (`Sidekiq::SortedEntry#retry`). Undefined when the payload is no job.
 */
export function retriedJob(payload: string, now: Date): RetriedJob | undefined {
  const job = parseRecord(payload)
  if (job === undefined || typeof job.class !== 'string') return undefined
  // Sidekiq's own default, where a job names no queue.
  const queue = typeof job.queue === 'string' && job.queue !== '' ? job.queue : 'default'
  const enqueued = setNumber(payload, 'enqueued_at', timestampLike(payload, now))
  const count = job.retry_count
  const counted = typeof count === 'number' && Number.isSafeInteger(count)
  return { queue, payload: counted ? setNumber(enqueued, 'retry_count', String(count - 1)) : enqueued }
}

/** In the form of the job's other times: Sidekiq tells the two forms apart by the decimal point. */
function timestampLike(payload: string, now: Date): string {
  const ranges = numberRanges(payload)
  const at = ranges.get('created_at') ?? ranges.get('enqueued_at')
  const sample = at === undefined ? '' : payload.slice(...at)
  const milliseconds = /^\d+$/.test(sample) && Number(sample) >= FIRST_MILLISECONDS
  return milliseconds ? String(now.getTime()) : (now.getTime() / 1000).toFixed(6)
}

/** Returns the JSON record with this member set to the number, every other byte of it unchanged. */
export function setNumber(json: string, member: string, number: string): string {
  const range = numberRanges(json).get(member)
  if (range !== undefined) return json.slice(0, range[0]) + number + json.slice(range[1])
  const open = json.indexOf('{') + 1
  const comma = /^\s*\}/.test(json.slice(open)) ? '' : ','
  return `${json.slice(0, open)}${JSON.stringify(member)}:${number}${comma}${json.slice(open)}`
}

/** A string, a bracket, a comma, a colon, or a bare word such as a number: all that JSON consists of. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g

/** Where the values of the record's own members stand that are no strings, lists or records. The JSON is sound. */
function numberRanges(json: string): Map<string, [from: number, to: number]> {
  const ranges = new Map<string, [number, number]>()
  let depth = 0
  let member = ''
  let before = ''
  for (const match of json.matchAll(TOKEN)) {
    const token = match[0]
    if (depth === 1 && before === ':' && !'{["'.includes(token[0] ?? '')) {
      ranges.set(member, [match.index, match.index + token.length])
    }
    if (depth === 1 && token.startsWith('"') && before !== ':') member = JSON.parse(token)
    depth += Number('{['.includes(token)) - Number('}]'.includes(token))
    before = token
  }
  return ranges
}
