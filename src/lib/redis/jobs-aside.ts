import { access, rename } from 'node:fs/promises'
import { randomNonce } from '../backends/nonce.js'
import { RefusedError } from '../errors.js'
import type { RedisDatabase } from './access.js'
import { parseRecord } from './job.js'
import { JobsFile, placesOf, type SavedPlace, summaryOf } from './jobs-file.js'
import { droppedField, memoryKey, REMEMBERED, readMemory } from './jobs-memory.js'

export { replayJobs } from './jobs-replay.js'

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

/** Jobs read at a time. */
const BATCH = 200

/** Returns how many jobs wait. */
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

/**
 * Lists that Sidekiq names among its queues, and those that hold jobs all the same. Another application's `queue:…` is
 * neither.
 */
async function queueNames(redis: RedisDatabase): Promise<string[]> {
  const listed = new Set((await redis.read('SMEMBERS', redis.key('queues'))) as string[])
  const names: string[] = []
  for (const name of await namesAfter(redis, redis.key('queue:'))) {
    if (await isQueue(redis, name, listed)) names.push(name)
  }
  return names.toSorted()
}

async function isQueue(redis: RedisDatabase, name: string, listed: ReadonlySet<string>): Promise<boolean> {
  const key = redis.key(`queue:${name}`)
  if ((await redis.read('TYPE', key)) !== 'list') return false
  return listed.has(name) || typeof parseRecord(await redis.read('LINDEX', key, -1))?.class === 'string'
}

/** Returns the rest of each name that begins so. */
async function namesAfter(redis: RedisDatabase, start: string): Promise<Set<string>> {
  const names = new Set<string>()
  let cursor = '0'
  do {
    const reply = await redis.read('SCAN', cursor, 'MATCH', `${escaped(start)}*`, 'COUNT', 1_000)
    const [next, keys] = reply as [string, string[]]
    for (const key of keys) names.add(key.slice(start.length))
    cursor = next
  } while (cursor !== '0')
  return names
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
 * Saves every pending job to a new file and returns what it holds. Nothing is removed. A file from which jobs were removed
 * stays as it is until they are put back: it has the only copy. Any other one that is there gets another name.
 *
 * @throws RefusedError when a file is there that is none of ours or was put back in part; the system's error when it cannot
 * be written.
 */
export async function saveJobs(redis: RedisDatabase, path: string, now: Date): Promise<PendingJobs> {
  if ((await exists(path)) && (await isOnlyCopy(redis, path))) return jobsSaved(path)
  if (redis.dryRun) return pendingJobs(redis)
  await moveAside(path)
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

async function isOnlyCopy(redis: RedisDatabase, path: string): Promise<boolean> {
  const { id, jobs } = await summaryOf(path)
  const { dropped, replayed } = await readMemory(redis, id)
  if (replayed > 0 && replayed < jobs) throw halfReplayed(path)
  return dropped.size > 0 && replayed === 0
}

function halfReplayed(path: string): RefusedError {
  return new RefusedError({
    code: 'jobs-half-replayed',
    message: `The jobs in ${path} were put back in part.`,
    cause: 'it has the only copy of the others',
    next: 'put the rest back first',
  })
}

async function moveAside(path: string): Promise<void> {
  if (!(await exists(path))) return
  let number = 1
  while (await exists(`${path}.${number}`)) number += 1
  await rename(path, `${path}.${number}`)
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

/**
 * KEYS: the list or the set, and the memory of the file. ARGV: how many were saved, the first and the last of them, the
 * commands that count and that read an element, where the first and the last stand, the field that remembers, and for how
 * many seconds. Returns −1 when it is not what was saved.
 */
const DROP =
  'local k, m = KEYS[1], KEYS[2] ' +
  "if redis.call('EXISTS', k) == 0 then return redis.call('HEXISTS', m, ARGV[8]) - 1 end " +
  "local function at(i) local r = ARGV[5] == 'LINDEX' and redis.call('LINDEX', k, i) or redis.call('ZRANGE', k, i, i) " +
  "if type(r) == 'table' then return r[1] end return r end " +
  'local n = redis.call(ARGV[4], k) ' +
  'if n ~= tonumber(ARGV[1]) or at(ARGV[6]) ~= ARGV[2] or at(ARGV[7]) ~= ARGV[3] then return -1 end ' +
  "redis.call('HSET', m, ARGV[8], 1) redis.call('EXPIRE', m, ARGV[9]) " +
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
  const { id } = await summaryOf(path)
  let dropped = 0
  for (const [name, saved] of await placesOf(path)) dropped += await drop(redis, id, name, saved)
  return dropped
}

async function dropPlanned(redis: RedisDatabase): Promise<number> {
  const { queues, total, ...sets } = await pendingJobs(redis)
  const places = [...queues.map(({ name, size }) => [`queue:${name}`, size] as const), ...Object.entries(sets)]
  for (const [name, size] of places) if (size > 0) await redis.writeAs(dropWords(redis, name, size), 'UNLINK')
  return total
}

async function drop(redis: RedisDatabase, id: string, name: string, saved: SavedPlace): Promise<number> {
  const { place, size, first, last } = saved
  const how = 'queue' in place ? ['LLEN', 'LINDEX', -1, 0] : ['ZCARD', 'ZRANGE', 0, -1]
  const values = [size, first, last, ...how, droppedField(name), REMEMBERED]
  const words = dropWords(redis, name, size)
  const dropped = await redis.writeAs(words, 'EVAL', DROP, 2, redis.key(name), memoryKey(redis, id), ...values)
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
    next: 'stop every process of the app, then repeat',
  })
}
