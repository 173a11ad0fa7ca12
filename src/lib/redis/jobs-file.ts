import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { messageOf, RefusedError } from '../errors.js'
import { parseRecord } from './job.js'

/**
 * Sidekiq's jobs in a file: a line of JSON for each, in the order in which they would have run, between a line that names
 * the file and one that counts them. Payloads are text as it was, or base64 where they are no text.
 */

/** Where a job waits: a queue, or one of the sets that Sidekiq sorts by time. */
export type JobPlace = { queue: string } | { set: 'schedule' | 'retry' | 'dead' }

export type SavedJob = JobPlace & {
  /** When it is due, as Redis has it: seconds. For jobs of a set. */
  at?: string
  payload: Buffer
}

const FORMAT = 'mstdn-ops jobs 1'

interface Header {
  format: string
  /** Another one for each file. */
  id: string
  savedAt: string
}

/** Writes the file under another name until it is whole, readable by its owner alone. */
export class JobsFile {
  readonly #path: string
  readonly #file: FileHandle
  #jobs = 0

  private constructor(path: string, file: FileHandle) {
    this.#path = path
    this.#file = file
  }

  /** Replaces what a run that was cut off has left of it. */
  static async begin(path: string, id: string, now: Date): Promise<JobsFile> {
    await rm(partial(path), { force: true })
    const file = await open(partial(path), 'wx', 0o600)
    const header: Header = { format: FORMAT, id, savedAt: now.toISOString() }
    await file.appendFile(`${JSON.stringify(header)}\n`)
    return new JobsFile(path, file)
  }

  async add(jobs: readonly SavedJob[]): Promise<void> {
    this.#jobs += jobs.length
    await this.#file.appendFile(jobs.map(line).join(''))
  }

  /** Returns once the whole file is on the disk, under its name. */
  async end(): Promise<void> {
    await this.#file.appendFile(`${JSON.stringify({ jobs: this.#jobs })}\n`)
    await this.#file.sync()
    await this.#file.close()
    await rename(partial(this.#path), this.#path)
    await syncFolder(dirname(this.#path))
  }

  async giveUp(): Promise<void> {
    await this.#file.close()
    await rm(partial(this.#path), { force: true })
  }
}

function partial(path: string): string {
  return `${path}.partial`
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}

function line({ payload, ...place }: SavedJob): string {
  const text = payload.toString()
  const job = Buffer.from(text).equals(payload) ? { job: text } : { base64: payload.toString('base64') }
  // The line separators of Unicode, which JSON leaves as they are, end a line for some readers.
  const json = JSON.stringify({ ...place, ...job }).replace(/[\u2028\u2029]/g, separatorEscape)
  return `${json}\n`
}

function separatorEscape(separator: string): string {
  return `\\u${separator.charCodeAt(0).toString(16)}`
}

/** What a whole file says of itself. */
export interface JobsFileSummary {
  id: string
  savedAt: string
  jobs: number
}

/**
 * Reads the file to its end.
 *
 * @throws RefusedError when it is none of ours, cut off, or has a line that is no job.
 */
export async function summaryOf(path: string): Promise<JobsFileSummary> {
  let found: JobsFileSummary | undefined
  for await (const item of items(path)) if (!('payload' in item)) found = item
  if (found === undefined) throw unreadable(path, 'its last line is missing: it was cut off')
  return found
}

/** Returns the jobs of a file in order; memory holds a line at a time. */
export async function* jobsIn(path: string): AsyncGenerator<SavedJob> {
  for await (const item of items(path)) if ('payload' in item) yield item
}

/** What a file has of one key: enough to tell whether the key is still as it was saved. */
export interface SavedPlace {
  place: JobPlace
  size: number
  first: Buffer
  last: Buffer
}

/** Returns what the file has of each queue and set, by the name of its key. */
export async function placesOf(path: string): Promise<Map<string, SavedPlace>> {
  const places = new Map<string, SavedPlace>()
  for await (const job of jobsIn(path)) {
    const known = places.get(keyOf(job))
    const size = (known?.size ?? 0) + 1
    places.set(keyOf(job), { place: job, size, first: known?.first ?? job.payload, last: job.payload })
  }
  return places
}

/** Returns the name of the key, without the prefix. */
export function keyOf(place: JobPlace): string {
  return 'queue' in place ? `queue:${place.queue}` : place.set
}

/** The jobs, and at the end the summary, where the count of the last line is that of the lines. */
async function* items(path: string): AsyncGenerator<SavedJob | JobsFileSummary> {
  let header: Header | undefined
  let jobs = 0
  for await (const text of linesOf(path)) {
    const record = parseRecord(text)
    if (header === undefined) {
      header = headerOf(path, record)
    } else if (record?.jobs === jobs && record.queue === undefined) {
      yield { id: header.id, savedAt: header.savedAt, jobs }
      return
    } else {
      jobs += 1
      yield jobOf(path, jobs, record)
    }
  }
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const stream = createReadStream(path)
  await once(stream, 'open').catch(error => {
    throw unreadable(path, messageOf(error))
  })
  yield* createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
}

function headerOf(path: string, record: Record<string, unknown> | undefined): Header {
  const { format, id, savedAt } = record ?? {}
  if (format !== FORMAT) throw unreadable(path, `its first line does not say "${FORMAT}"`)
  if (typeof id !== 'string' || typeof savedAt !== 'string') throw unreadable(path, 'its first line names no file')
  return { format, id, savedAt }
}

function jobOf(path: string, at: number, record: Record<string, unknown> | undefined): SavedJob {
  const { queue, set, at: due, job, base64 } = record ?? {}
  const payload =
    typeof job === 'string' ? Buffer.from(job) : typeof base64 === 'string' && Buffer.from(base64, 'base64')
  const inSet = (set === 'schedule' || set === 'retry' || set === 'dead') && typeof due === 'string'
  if (payload && typeof queue === 'string') return { queue, payload }
  if (payload && inSet) return { set, at: due, payload }
  throw unreadable(path, `line ${at + 1} is no job`)
}

function unreadable(path: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'jobs-file-unreadable',
    message: `${path} cannot be read as saved jobs`,
    cause,
    next: 'name a file that was written when the jobs were set aside',
  })
}
