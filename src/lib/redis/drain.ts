import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisDatabase } from './access.js'
import { processes, type Queue, queues, type RubyByHand, type SidekiqProcess } from './sidekiq.js'

/** Sidekiq brought to rest: its queues run empty, no new job is begun, and those under way end. */

/** What Sidekiq has to do. Processes tell of themselves every 5 s (Sidekiq 4 to 6) or 10 s. */
export interface SidekiqLoad {
  processes: number
  /** Processes that begin no new job. */
  quiet: number
  /** Jobs under way. */
  busy: number
  /** Jobs in queues that a process still takes from. */
  waiting: number
  /** By name, those that hold any. */
  queues: { name: string; size: number }[]
}

export interface Drained extends SidekiqLoad {
  /** No job is under way, and none is begun. */
  idle: boolean
  seconds: number
}

export interface DrainOptions {
  /** For how long the queues may run empty; 0: no new job is begun. */
  seconds: number
  /** For how long the jobs under way may go on then; Sidekiq itself gives them 25 s when it is stopped (8 s up to 5). */
  graceSeconds?: number
  onProgress?: (load: SidekiqLoad) => void
  /** Milliseconds between two looks. */
  everyMs?: number
  /** Ends the waiting: its reason is thrown. */
  signal?: AbortSignal
  byHand?: RubyByHand
}

const GRACE = 30
const EVERY = 1_000

/**
 * Lets the queues run empty for up to `seconds`, tells the processes to begin no new job, waits for those under way, and
 * returns what is left. A process that was made quiet stays so until it is started anew.
 *
 * A dry run waits for nothing: what is left is what there is now.
 */
export async function drainSidekiq(redis: RedisDatabase, options: DrainOptions): Promise<Drained> {
  const begun = performance.now()
  const { seconds, graceSeconds = GRACE } = redis.dryRun ? { seconds: 0, graceSeconds: 0 } : options
  if (seconds > 0) await untilEmpty(redis, options)
  await quietSidekiq(redis, options.byHand)
  const { load } = await watch(redis, options, graceSeconds, seen => isQuiet(seen.load))
  return { ...load, idle: isQuiet(load), seconds: Math.round((performance.now() - begun) / 1000) }
}

function isQuiet(load: SidekiqLoad): boolean {
  return load.quiet === load.processes && load.busy === 0
}

/**
 * A process tells how busy it is as of its last heartbeat, so each must have told it once more after the queues were seen
 * empty. Whether it did shows in another time of its heartbeat: its clock need not be Redis'.
 */
async function untilEmpty(redis: RedisDatabase, options: DrainOptions): Promise<void> {
  let empty: Seen | undefined
  await watch(redis, options, options.seconds, seen => {
    if (seen.load.waiting > 0 || seen.load.busy > 0) empty = undefined
    else empty ??= seen
    return empty !== undefined && [...seen.beats].every(([identity, beat]) => empty?.beats.get(identity) !== beat)
  })
}

/** Looks again and again, and returns what was seen last: what was `enough`, or what there was when the time was over. */
async function watch(redis: RedisDatabase, options: DrainOptions, seconds: number, enough: (seen: Seen) => boolean) {
  const end = performance.now() + seconds * 1000
  for (;;) {
    const seen = await look(redis)
    options.onProgress?.(seen.load)
    if (enough(seen) || performance.now() >= end) return seen
    await sleep(options.everyMs ?? EVERY, undefined, { signal: options.signal }).catch(() =>
      options.signal?.throwIfAborted(),
    )
  }
}

interface Seen {
  load: SidekiqLoad
  /** For each process another number with each heartbeat. */
  beats: ReadonlyMap<string, number | undefined>
}

/** Ages are counted from here, so that they change with the heartbeat alone. */
const FIXED = new Date('9999-01-01T00:00:00Z')

async function look(redis: RedisDatabase): Promise<Seen> {
  const [all, living] = await Promise.all([queues(redis, FIXED), processes(redis, FIXED)])
  return { load: loadOf(all, living), beats: new Map(living.map(({ identity, beatAge }) => [identity, beatAge])) }
}

function loadOf(all: readonly Queue[], living: readonly SidekiqProcess[]): SidekiqLoad {
  const taken = new Set(living.filter(({ quiet }) => !quiet).flatMap(process => process.queues))
  const filled = all.filter(({ size }) => size > 0).map(({ name, size }) => ({ name, size }))
  return {
    processes: living.length,
    quiet: living.filter(({ quiet }) => quiet).length,
    busy: living.reduce((sum, { busy }) => sum + busy, 0),
    waiting: filled.reduce((sum, { name, size }) => sum + (taken.has(name) ? size : 0), 0),
    queues: filled,
  }
}

const plainRunner: RubyByHand = ruby => `bin/rails runner '${ruby}'`

/**
 * Tells every process to begin no new job, which it hears at its next heartbeat, and returns how many were told. TSTP means
 * that from Sidekiq 4.2 on (its cli.rb), which is that of Mastodon 1.3; the list is that of `Sidekiq::Process#quiet!`.
 */
export async function quietSidekiq(redis: RedisDatabase, byHand: RubyByHand = plainRunner): Promise<number> {
  const awake = (await processes(redis)).filter(({ quiet }) => !quiet)
  for (const { identity } of awake) {
    const key = redis.key(`${identity}-signals`)
    const words = { exact: `LPUSH ${key} TSTP`, byHand: byHand('Sidekiq::ProcessSet.new.each(&:quiet!)') }
    await redis.writeAs(words, 'EVAL', SIGNAL, 1, key, 'TSTP', SIGNAL_SECONDS)
  }
  return awake.length
}

/** KEYS: the signals of a process. ARGV: the signal, and the seconds after which it is forgotten. */
const SIGNAL = "redis.call('LPUSH', KEYS[1], ARGV[1]) return redis.call('EXPIRE', KEYS[1], ARGV[2])"
const SIGNAL_SECONDS = 60
