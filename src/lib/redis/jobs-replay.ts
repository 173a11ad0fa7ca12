import { RefusedError } from '../errors.js'
import { shellLine } from '../text.js'
import type { RedisBytes, RedisDatabase } from './access.js'
import { jobsIn, keyOf, placesOf, type SavedJob, summaryOf } from './jobs-file.js'
import { droppedField, type JobsMemory, memoryKey, REMEMBERED, readMemory } from './jobs-memory.js'

export interface Replayed {
  /** Put back now, or that would be in a dry run. */
  replayed: number
  /** Put back by a run before this one. */
  before: number
  /** Jobs of queues and sets that were never removed, which is why they are not put there again. */
  kept: number
}

/** Jobs put back at a time. */
const BATCH = 200

/**
 * Puts the jobs of a file back, behind those that wait, in their order. Redis remembers with each batch how far it came: a
 * run that was cut off goes on there, and a file that was put back is not put back again for 90 days. Where Redis remembers
 * nothing of a queue or set of the file, it is put back only if it holds nothing.
 *
 * @throws RefusedError when the file is not whole, or another run puts it back at the same time.
 */
export async function replayJobs(redis: RedisDatabase, path: string): Promise<Replayed> {
  const { id, jobs } = await summaryOf(path)
  const memory = await readMemory(redis, id)
  const names = await namesToFill(redis, path, memory)
  if (!redis.dryRun)
    await claim(
      redis,
      id,
      names.filter(name => !memory.dropped.has(name)),
    )
  return new Replay(redis, { path, id, jobs }, memory.replayed).of(names)
}

async function namesToFill(redis: RedisDatabase, path: string, { dropped }: JobsMemory): Promise<string[]> {
  const names: string[] = []
  for (const name of (await placesOf(path)).keys()) {
    if (dropped.has(name) || Number(await redis.read('EXISTS', redis.key(name))) === 0) names.push(name)
  }
  return names
}

/** A run that goes on after this one must know what this one chose: by then it holds some jobs. */
async function claim(redis: RedisDatabase, id: string, names: readonly string[]): Promise<void> {
  const fields = names.flatMap(name => [droppedField(name), 1])
  if (fields.length > 0) await redis.writeAs({ told: true }, 'HSET', memoryKey(redis, id), ...fields)
}

interface File {
  path: string
  id: string
  jobs: number
}

/**
 * KEYS: the memory of the file, the set of queues. ARGV: how far the file was gone through before this batch and is after
 * it, seconds to remember, the prefix, then key, time and payload of each job. Returns −1 when another run was here.
 */
const PUSH =
  "if tonumber(redis.call('HGET', KEYS[1], 'replayed') or 0) ~= tonumber(ARGV[1]) then return -1 end " +
  'for i = 5, #ARGV, 3 do local key = ARGV[4] .. ARGV[i] ' +
  "if ARGV[i+1] == '' then redis.call('SADD', KEYS[2], string.sub(ARGV[i], 7)) redis.call('LPUSH', key, ARGV[i+2]) " +
  "else redis.call('ZADD', key, ARGV[i+1], ARGV[i+2]) end end " +
  "redis.call('HSET', KEYS[1], 'replayed', ARGV[2]) return redis.call('EXPIRE', KEYS[1], ARGV[3])"

/** Goes through the file once, pushing in batches. */
class Replay {
  readonly #redis: RedisDatabase
  readonly #file: File
  readonly #outcome: Replayed = { replayed: 0, before: 0, kept: 0 }
  #done: number
  #batch: SavedJob[] = []

  constructor(redis: RedisDatabase, file: File, done: number) {
    this.#redis = redis
    this.#file = file
    this.#done = done
  }

  async of(names: readonly string[]): Promise<Replayed> {
    const done = this.#done
    const wanted = new Set(names)
    let at = 0
    for await (const job of jobsIn(this.#file.path)) {
      at += 1
      if (!wanted.has(keyOf(job))) this.#outcome.kept += 1
      else if (at <= done) this.#outcome.before += 1
      else this.#batch.push(job)
      if (this.#batch.length === BATCH) await this.#push(at)
    }
    if (at > this.#done) await this.#push(at)
    return this.#outcome
  }

  async #push(upTo: number): Promise<void> {
    const keys = [memoryKey(this.#redis, this.#file.id), this.#redis.key('queues')]
    const progress = [this.#done, upTo, REMEMBERED, this.#redis.prefix]
    const values: RedisBytes[] = this.#batch.flatMap(job => [keyOf(job), job.at ?? '', job.payload])
    const words = { ...this.#words(), told: this.#batch.length === 0 || this.#outcome.replayed > 0 }
    const pushed = await this.#redis.writeAs(words, 'EVAL', PUSH, 2, ...keys, ...progress, ...values)
    if (Number(pushed) < 0) throw twice(this.#redis)
    this.#done = upTo
    this.#outcome.replayed += this.#batch.length
    this.#batch = []
  }

  #words() {
    const { path, jobs } = this.#file
    const queue = `"LPUSH ${this.#redis.key('queue:')}\\(.queue) \\(.job|@json)"`
    const set = `"ZADD ${this.#redis.prefix}\\(.set) \\(.at) \\(.job|@json)"`
    const filter = `select(.job) | if .queue then ${queue} else ${set} end`
    const byHand = `${shellLine(['jq', '-r', filter, path])} | ${this.#redis.byHand([])}`
    return { exact: `LPUSH, ZADD … (the ${jobs} jobs of ${path})`, byHand }
  }
}

function twice(redis: RedisDatabase): RefusedError {
  return new RefusedError({
    code: 'replayed-twice',
    message: `Another run puts the same jobs back (${redis.where}).`,
    next: 'wait for its end, then repeat: what it has put back is not put back again',
  })
}
