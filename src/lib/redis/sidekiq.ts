import { UnforeseenError, UsageError } from '../errors.js'
import type { RedisArgument, RedisDatabase } from './access.js'
import { parseRecord, type RetriedJob, retriedJob, timeOf } from './job.js'

/** Keys and payloads as Sidekiq 4 (Mastodon 1.3) to 8 (4.5 and later) keep them: its lib/sidekiq/api.rb. */

export interface Queue {
  name: string
  size: number
  /** Seconds that the oldest job has waited; 0 when the queue is empty, undefined when the job does not say. */
  latency: number | undefined
}

/** Returns the queues that were ever used and not cleared, by name. */
export async function queues(redis: RedisDatabase, at?: Date): Promise<Queue[]> {
  const now = at ?? (await serverTime(redis))
  const names = texts(await look(redis, 'SMEMBERS', redis.key('queues')))
  return Promise.all(names.toSorted().map(name => readQueue(redis, name, now)))
}

async function readQueue(redis: RedisDatabase, name: string, now: Date): Promise<Queue> {
  const key = redis.key(`queue:${name}`)
  const [size, oldest] = await Promise.all([look(redis, 'LLEN', key), look(redis, 'LINDEX', key, -1)])
  return { name, size: Number(size), latency: oldest === null ? 0 : waited(oldest, now) }
}

function waited(payload: unknown, now: Date): number | undefined {
  const at = timeOf(parseRecord(payload)?.enqueued_at)
  return at === undefined ? undefined : Math.max(0, (now.getTime() - at.getTime()) / 1000)
}

export interface SidekiqProcess {
  /** `host:pid:nonce`. */
  identity: string
  hostname: string
  pid: number | undefined
  queues: string[]
  concurrency: number | undefined
  /** Jobs under way. */
  busy: number
  /** Seconds since the last heartbeat (every 5 to 10 s); undefined when it sent none. */
  beatAge: number | undefined
  /** It takes no new jobs. */
  quiet: boolean
  startedAt: Date | undefined
  /** Of Sidekiq, which tells it from 7 on. */
  version: string | undefined
}

/** Returns the processes that live: Sidekiq forgets one a minute after its last heartbeat. */
export async function processes(redis: RedisDatabase, at?: Date): Promise<SidekiqProcess[]> {
  const now = at ?? (await serverTime(redis))
  const identities = texts(await look(redis, 'SMEMBERS', redis.key('processes')))
  const found = await Promise.all(identities.toSorted().map(identity => readProcess(redis, identity, now)))
  return found.filter(process => process !== undefined)
}

async function readProcess(redis: RedisDatabase, identity: string, now: Date): Promise<SidekiqProcess | undefined> {
  const fields = ['info', 'busy', 'beat', 'quiet']
  const [info, busy, beat, quiet] = texts(await look(redis, 'HMGET', redis.key(identity), ...fields))
  const known = parseRecord(info)
  return known === undefined ? undefined : describe(identity, known, { busy, beat, quiet, now })
}

interface Beat {
  busy: string | undefined
  beat: string | undefined
  quiet: string | undefined
  now: Date
}

function describe(identity: string, info: Record<string, unknown>, beat: Beat): SidekiqProcess {
  const last = timeOf(beat.beat)
  return {
    identity,
    hostname: typeof info.hostname === 'string' ? info.hostname : '',
    pid: numberOf(info.pid),
    queues: [...new Set(texts(info.queues))],
    concurrency: numberOf(info.concurrency),
    busy: Number.parseInt(beat.busy ?? '', 10) || 0,
    beatAge: last === undefined ? undefined : Math.max(0, (beat.now.getTime() - last.getTime()) / 1000),
    quiet: beat.quiet === 'true',
    startedAt: timeOf(info.started_at),
    version: typeof info.version === 'string' ? info.version : undefined,
  }
}

export interface SidekiqStats {
  /** Since the counters were begun. */
  processed: number
  failed: number
  enqueued: number
  retry: number
  dead: number
  scheduled: number
}

export async function stats(redis: RedisDatabase): Promise<SidekiqStats> {
  const count = async (command: string, name: string) => Number(await look(redis, command, redis.key(name))) || 0
  const [processed, failed, retry, dead, scheduled, all] = await Promise.all([
    count('GET', 'stat:processed'),
    count('GET', 'stat:failed'),
    count('ZCARD', 'retry'),
    count('ZCARD', 'dead'),
    count('ZCARD', 'schedule'),
    queues(redis),
  ])
  const enqueued = all.reduce((sum, queue) => sum + queue.size, 0)
  return { processed, failed, enqueued, retry, dead, scheduled }
}

export interface RetryOutcome {
  /** Moved to their queues; in a dry run, that would be. */
  moved: number
  /** Entries that are no jobs and stay where they are. */
  unreadable: number
  /** Entries that Sidekiq itself took meanwhile. */
  gone: number
}

/** Jobs that one script moves, so that it blocks the server for no longer than some milliseconds. */
const BATCH = 100

/**
 * Moves each job only if it is still there: Sidekiq's own poller takes jobs from the same set, and none may run twice.
 * KEYS: the retry set, the set of queues. ARGV: the prefix of queue keys, then entry, queue, payload for each job.
 */
const MOVE =
  "local n = 0 for i = 2, #ARGV, 3 do if redis.call('ZREM', KEYS[1], ARGV[i]) == 1 then " +
  "redis.call('SADD', KEYS[2], ARGV[i+1]) redis.call('LPUSH', ARGV[1] .. ARGV[i+1], ARGV[i+2]) n = n + 1 end end return n"

/**
 * Moves jobs that wait for their next attempt to their queues, the one that is due first first.
 *
 * @throws OutcomeUnknownError when the connection is lost in the middle; moved jobs are then safe in their queues, and
 * repeating moves the rest.
 */
export async function retryAll(
  redis: RedisDatabase,
  options: { limit?: number; now?: Date; byHand?: RubyByHand } = {},
): Promise<RetryOutcome> {
  const last = options.limit === undefined ? -1 : options.limit - 1
  const entries = options.limit === 0 ? [] : texts(await look(redis, 'ZRANGE', redis.key('retry'), 0, last))
  const now = options.now ?? (await serverTime(redis))
  const jobs = entries.flatMap(entry => {
    const job = retriedJob(entry, now)
    return job === undefined ? [] : [{ entry, ...job }]
  })
  const moved = await moveAll(redis, jobs, retryByHand(options))
  return { moved, unreadable: entries.length - jobs.length, gone: jobs.length - moved }
}

type Move = RetriedJob & { entry: string }

async function moveAll(redis: RedisDatabase, jobs: Move[], byHand: string): Promise<number> {
  let moved = 0
  for (let at = 0; at < jobs.length; at += BATCH) moved += await move(redis, jobs.slice(at, at + BATCH), byHand)
  return redis.dryRun ? jobs.length : moved
}

async function move(redis: RedisDatabase, jobs: Move[], byHand: string): Promise<number> {
  const keys = [redis.key('retry'), redis.key('queues')]
  const values = jobs.flatMap(job => [job.entry, job.queue, job.payload])
  // The payloads hold what people wrote, and are many: they stand in no plan.
  const words = { exact: `EVAL '${MOVE}' 2 ${keys.join(' ')} … (${jobs.length} jobs)`, byHand }
  return Number(await redis.writeAs(words, 'EVAL', MOVE, 2, ...keys, redis.key('queue:'), ...values))
}

/** Returns the line with which an operator would run the Ruby text in the app. */
export type RubyByHand = (ruby: string) => string

const plainRunner: RubyByHand = ruby => `bin/rails runner '${ruby}'`

function retryByHand({ limit, byHand = plainRunner }: { limit?: number; byHand?: RubyByHand }): string {
  return byHand(`Sidekiq::RetrySet.new.${limit === undefined ? 'retry_all' : `first(${limit}).each(&:retry)`}`)
}

/** KEYS: the queue, the set of queues. ARGV: the queue's name. */
const CLEAR =
  "local n = redis.call('LLEN', KEYS[1]) redis.call('DEL', KEYS[1]) redis.call('SREM', KEYS[2], ARGV[1]) return n"

/**
 * Drops every job of the queue and returns how many there were, or would be in a dry run.
 *
 * @throws UsageError when there is no such queue, naming those that there are.
 */
export async function clearQueue(redis: RedisDatabase, name: string, byHand = plainRunner): Promise<number> {
  const names = texts(await look(redis, 'SMEMBERS', redis.key('queues')))
  if (!names.includes(name)) throw noSuchQueue(name, names)
  const size = Number(await look(redis, 'LLEN', redis.key(`queue:${name}`)))
  const words = { byHand: byHand(`Sidekiq::Queue.new(${rubyString(name)}).clear`) }
  const dropped = await redis.writeAs(words, 'EVAL', CLEAR, 2, redis.key(`queue:${name}`), redis.key('queues'), name)
  return redis.dryRun ? size : Number(dropped)
}

function noSuchQueue(name: string, names: string[]) {
  const there = names.length === 0 ? 'there is none' : `there are ${names.toSorted().join(', ')}`
  return new UsageError({ code: 'unknown-queue', message: `Sidekiq has no queue ${name}`, cause: there })
}

/** Inside the single quotes of a shell: nothing that ends them, begins an interpolation or a line. */
function rubyString(text: string): string {
  const safe = (char: string) => `\\u{${char.codePointAt(0)?.toString(16)}}`
  return `"${text.replace(/[^A-Za-z0-9_.:-]/gu, safe)}"`
}

export interface ScheduledJob {
  name: string
  /** By the clock of the process that last wrote it. */
  next: Date | undefined
  last: Date | undefined
  enabled: boolean
}

/**
 * Returns what sidekiq-scheduler last wrote of each of its jobs, by name (its redis_manager.rb). Sidekiq processes write
 * it as they start, those that schedule; empty means that none has run on this Redis.
 */
export async function schedulerState(redis: RedisDatabase): Promise<ScheduledJob[]> {
  const table = async (name: string) => pairs(await look(redis, 'HGETALL', redis.key(`sidekiq-scheduler:${name}`)))
  const [next, last, states] = await Promise.all([table('next_times'), table('last_times'), table('states')])
  const names = [...new Set([...next.keys(), ...last.keys()])]
  return names.toSorted().map(name => ({
    name,
    next: rubyTime(next.get(name)),
    last: rubyTime(last.get(name)),
    enabled: parseRecord(states.get(name))?.enabled !== false,
  }))
}

/** Ruby's `Time#to_s`: `2026-11-22 05:00:00 UTC`, or with an offset like `+0000` in the place of UTC. */
function rubyTime(text: string | undefined): Date | undefined {
  const parts = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)? ?(?:UTC|Z|([+-]\d\d):?(\d\d))?$/.exec(text ?? '')
  if (parts === null) return undefined
  const time = new Date(`${parts[1]}T${parts[2]}${parts[3] === undefined ? 'Z' : `${parts[3]}:${parts[4]}`}`)
  return Number.isNaN(time.getTime()) ? undefined : time
}

/** A key of another type than Sidekiq's is broken or hostile, and no reason to show nothing else: it reads as absent. */
async function look(redis: RedisDatabase, command: string, ...args: RedisArgument[]): Promise<unknown> {
  return redis.read(command, ...args).catch(error => {
    if (error instanceof UnforeseenError && error.why?.startsWith('WRONGTYPE')) return null
    throw error
  })
}

/** The server's clock, for this machine's may be off. */
async function serverTime(redis: RedisDatabase): Promise<Date> {
  const [seconds, micros] = texts(await redis.read('TIME'))
  return new Date(Number(seconds) * 1000 + Number(micros) / 1000)
}

/** Returns the reply's texts; other elements become empty, so that positions stay. */
function texts(reply: unknown): string[] {
  return Array.isArray(reply) ? reply.map(item => (typeof item === 'string' ? item : '')) : []
}

function pairs(reply: unknown): Map<string, string> {
  const flat = texts(reply)
  return new Map(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? '']] : [])))
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}
