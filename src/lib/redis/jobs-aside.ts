import { access } from 'node:fs/promises'
import { randomNonce } from '../backends/nonce.js'
import { RefusedError } from '../errors.js'
import { shellLine } from '../text.js'
import type { RedisBytes, RedisDatabase } from './access.js'
import { type JobPlace, JobsFile, jobsIn, type SavedJob, summaryOf } from './jobs-file.js'

/**
 * Sidekiq's pending jobs (keys as lib/sidekiq/client.rb and api.rb have them, 4 to 8): counted, saved to a file, removed as
 * they were saved, and put back. The locks of unique jobs (`uniquejobs:*`) go with the kind `sidekiq` of `unlinkOwned`:
 * a lock without its job would keep the same job out.
 */

export interface PendingJobs {
  /** By name, those that hold any. */
  queues: { name: string; size: number }[]
  retry: number
  schedule: number
  dead: number
  total: number
}

const SETS = ['schedule', 'retry', 'dead'] as const

/** Jobs read, written or pushed at a time. */
const BATCH = 200

/** Returns how many jobs wait, in every list `queue:*`, whether Sidekiq lists it among its queues or not. */
export async function pendingJobs(redis: RedisDatabase): Promise<PendingJobs> {
  const found = await Promise.all(
    (await queueNames(redis)).map(async name => ({ name, size: await sizeOf(redis, name) })),
  )
  const [schedule, retry, dead] = await Promise.all(SETS.map(set => sizeOfSet(redis, set)))
  return pending(found, { schedule: schedule ?? 0, retry: retry ?? 0, dead: dead ?? 0 })
}

function pending(found: PendingJobs['queues'], sets: Record<(typeof SETS)[number], number>): PendingJobs {
  const queues = found.filter(({ size }) => size > 0)
  const queued = queues.reduce((sum, { size }) => sum + size, 0)
  return { queues, ...sets, total: queued + sets.schedule + sets.retry + sets.dead }
}

async function queueNames(redis: RedisDatabase): Promise<string[]> {
  const names = new Set<string>()
  const start = redis.key('queue:')
  let cursor = '0'
  do {
    const reply = await redis.read('SCAN', cursor, 'MATCH', `${escaped(start)}*`, 'COUNT', 1_000)
    const [next, keys] = reply as [string, string[]]
    for (const key of keys) names.add(key.slice(start.length))
    cursor = next
  } while (cursor !== '0')
  return [...names].toSorted()
}

function escaped(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}

async function sizeOf(redis: RedisDatabase, queue: string): Promise<number> {
  return Number(await redis.read('LLEN', redis.key(`queue:${queue}`)))
}

async function sizeOfSet(redis: RedisDatabase, set: string): Promise<number> {
  return Number(await redis.read('ZCARD', redis.key(set)))
}

/**
 * Saves every pending job to a new file and returns what it holds. Nothing is removed. A whole file that is there already
 * is left as it is: a run that was cut off may have removed what only that file has.
 *
 * @throws RefusedError when a file is there that is none of ours, and the system's error when it cannot be written.
 */
export async function saveJobs(redis: RedisDatabase, path: string, now: Date): Promise<PendingJobs> {
  if (await exists(path)) return jobsSaved(path)
  if (redis.dryRun) return pendingJobs(redis)
  const file = await JobsFile.begin(path, randomNonce(), now)
  try {
    for (const queue of await queueNames(redis)) await saveQueue(redis, file, queue)
    for (const set of SETS) await saveSet(redis, file, set)
    await file.end()
  } catch (error) {
    await file.giveUp()
    throw error
  }
  return jobsSaved(path)
}

/** Sidekiq pushes at the left and takes at the right: from the right, what is pushed meanwhile moves nothing. */
async function saveQueue(redis: RedisDatabase, file: JobsFile, queue: string): Promise<void> {
  for (let taken = 0; ; taken += BATCH) {
    const page = await redis.readBytes('LRANGE', redis.key(`queue:${queue}`), -taken - BATCH, -taken - 1)
    const payloads = (page as Buffer[]).toReversed()
    await file.add(payloads.map(payload => ({ queue, payload })))
    if (payloads.length < BATCH) return
  }
}

async function saveSet(redis: RedisDatabase, file: JobsFile, set: (typeof SETS)[number]): Promise<void> {
  for (let taken = 0; ; taken += BATCH) {
    const page = await redis.readBytes('ZRANGE', redis.key(set), taken, taken + BATCH - 1, 'WITHSCORES')
    const flat = page as Buffer[]
    const jobs = flat.flatMap((payload, at) => (at % 2 === 0 ? [{ set, at: String(flat[at + 1]), payload }] : []))
    await file.add(jobs)
    if (jobs.length < BATCH) return
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** Returns what a file holds. @throws RefusedError when it is not whole. */
export async function jobsSaved(path: string): Promise<PendingJobs> {
  await summaryOf(path)
  const places = await placesOf(path)
  const sizeAt = (key: string) => places.get(key)?.size ?? 0
  const queues = [...places.values()].flatMap(({ place, size }) =>
    'queue' in place ? [{ name: place.queue, size }] : [],
  )
  return pending(queues, { schedule: sizeAt('schedule'), retry: sizeAt('retry'), dead: sizeAt('dead') })
}

/** What a file has of one key: enough to tell whether the key is still as it was saved. */
interface SavedPlace {
  place: JobPlace
  size: number
  first: Buffer
  last: Buffer
}

async function placesOf(path: string): Promise<Map<string, SavedPlace>> {
  const places = new Map<string, SavedPlace>()
  for await (const job of jobsIn(path)) {
    const known = places.get(keyOf(job))
    const size = (known?.size ?? 0) + 1
    places.set(keyOf(job), { place: job, size, first: known?.first ?? job.payload, last: job.payload })
  }
  return places
}

function keyOf(place: JobPlace): string {
  return 'queue' in place ? `queue:${place.queue}` : place.set
}

/**
 * KEYS: the list or the set. ARGV: how many were saved, the first and the last of them, the commands that count and that
 * read an element, and where the first and the last stand. Returns −1 when it is not what was saved.
 */
const DROP =
  "local k = KEYS[1] if redis.call('EXISTS', k) == 0 then return 0 end " +
  'local function at(i) local r = ARGV[5] == "LINDEX" and redis.call("LINDEX", k, i) or redis.call("ZRANGE", k, i, i) ' +
  'if type(r) == "table" then return r[1] end return r end ' +
  'local n = redis.call(ARGV[4], k) ' +
  'if n ~= tonumber(ARGV[1]) or at(ARGV[6]) ~= ARGV[2] or at(ARGV[7]) ~= ARGV[3] then return -1 end ' +
  "local r = redis.pcall('UNLINK', k) if type(r) == 'table' then redis.call('DEL', k) end return n"

/**
 * Removes the jobs that the file holds, a queue or set at a time, and returns how many there still were. Each goes only if
 * its size and both its ends are those that were saved, looked at in the same moment. Repeating goes on where a run was cut
 * off. A dry run needs no file.
 *
 * @throws RefusedError when the file is not whole, or jobs came or went since: what was looked at last is then untouched.
 */
export async function dropSavedJobs(redis: RedisDatabase, path: string): Promise<number> {
  if (redis.dryRun && !(await exists(path))) return dropPlanned(redis)
  await summaryOf(path)
  let dropped = 0
  for (const [name, saved] of await placesOf(path)) dropped += await drop(redis, name, saved)
  return dropped
}

async function dropPlanned(redis: RedisDatabase): Promise<number> {
  const { queues, total, ...sets } = await pendingJobs(redis)
  const places = [...queues.map(({ name, size }) => [`queue:${name}`, size] as const), ...Object.entries(sets)]
  for (const [name, size] of places) if (size > 0) await redis.writeAs(dropWords(redis, name, size), 'UNLINK')
  return total
}

async function drop(redis: RedisDatabase, name: string, { place, size, first, last }: SavedPlace): Promise<number> {
  const how = 'queue' in place ? ['LLEN', 'LINDEX', -1, 0] : ['ZCARD', 'ZRANGE', 0, -1]
  const words = dropWords(redis, name, size)
  const dropped = await redis.writeAs(words, 'EVAL', DROP, 1, redis.key(name), size, first, last, ...how)
  if (Number(dropped) < 0) throw changed(redis, name)
  return redis.dryRun ? size : Number(dropped)
}

function dropWords(redis: RedisDatabase, name: string, size: number) {
  const key = redis.key(name)
  return { exact: `UNLINK ${key} (${size} jobs, as they were saved)`, byHand: redis.byHand(['UNLINK', key]) }
}

function changed(redis: RedisDatabase, name: string): RefusedError {
  return new RefusedError({
    code: 'jobs-changed',
    message: `The jobs in ${name} (${redis.where}) are no longer those that were saved.`,
    cause: 'something still pushes or takes jobs',
    next: 'stop every process of the app, then repeat with a new file',
  })
}

export interface Replayed {
  /** Pushed now, or that would be in a dry run. */
  replayed: number
  /** Pushed by a run before this one. */
  before: number
}

/** Days for which Redis remembers which files were put back. */
const REMEMBERED = 30

/**
 * KEYS: how far the file was put back, the set of queues. ARGV: how far it was before this batch and is after it, seconds to
 * remember, the prefix, then key, time and payload of each job. Returns −1 when another run was here.
 */
const PUSH =
  "if tonumber(redis.call('GET', KEYS[1]) or 0) ~= tonumber(ARGV[1]) then return -1 end " +
  'for i = 5, #ARGV, 3 do local key = ARGV[4] .. ARGV[i] ' +
  "if ARGV[i+1] == '' then redis.call('SADD', KEYS[2], string.sub(ARGV[i], 7)) redis.call('LPUSH', key, ARGV[i+2]) " +
  "else redis.call('ZADD', key, ARGV[i+1], ARGV[i+2]) end end " +
  "redis.call('SETEX', KEYS[1], ARGV[3], ARGV[2]) return ARGV[2] - ARGV[1]"

/**
 * Puts the jobs of a file back, behind those that wait, in their order. Redis remembers with each batch how far it came: a
 * run that was cut off goes on there, and a file that was put back is not put back again for 30 days.
 *
 * @throws RefusedError when the file is not whole, or another run puts it back at the same time.
 */
export async function replayJobs(redis: RedisDatabase, path: string): Promise<Replayed> {
  const { id, jobs } = await summaryOf(path)
  const marker = redis.key(`mstdn-ops:replayed:${id}`)
  const before = Number(await redis.read('GET', marker))
  const words = replayWords(redis, path, jobs - before)
  let at = before
  for await (const batch of batches(path, before)) {
    await push(redis, { marker, at, words: { ...words, told: at > before } }, batch)
    at += batch.length
  }
  return { replayed: at - before, before }
}

function replayWords(redis: RedisDatabase, path: string, jobs: number) {
  const queue = `"LPUSH ${redis.key('queue:')}\\(.queue) \\(.job|@json)"`
  const set = `"ZADD ${redis.prefix}\\(.set) \\(.at) \\(.job|@json)"`
  const filter = `select(.job) | if .queue then ${queue} else ${set} end`
  const byHand = `${shellLine(['jq', '-r', filter, path])} | ${redis.byHand([])}`
  return { exact: `LPUSH, ZADD … (${jobs} jobs of ${path})`, byHand }
}

interface Push {
  marker: string
  at: number
  words: { exact: string; byHand: string; told: boolean }
}

async function push(redis: RedisDatabase, { marker, at, words }: Push, jobs: readonly SavedJob[]): Promise<void> {
  const values: RedisBytes[] = jobs.flatMap(job => [keyOf(job), job.at ?? '', job.payload])
  const progress = [at, at + jobs.length, REMEMBERED * 86_400, redis.prefix]
  const pushed = await redis.writeAs(words, 'EVAL', PUSH, 2, marker, redis.key('queues'), ...progress, ...values)
  if (Number(pushed) < 0) throw twice(redis)
}

async function* batches(path: string, from: number): AsyncGenerator<SavedJob[]> {
  let batch: SavedJob[] = []
  let at = 0
  for await (const job of jobsIn(path)) {
    at += 1
    if (at > from) batch.push(job)
    if (batch.length === BATCH) {
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}

function twice(redis: RedisDatabase): RefusedError {
  return new RefusedError({
    code: 'replayed-twice',
    message: `Another run puts the same jobs back (${redis.where}).`,
    next: 'wait for its end, then repeat: what it has put back is not put back again',
  })
}
