import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { Ledger } from '../../../src/lib/ledger.js'
import type { RedisDatabase } from '../../../src/lib/redis/access.js'
import { drainSidekiq, quietSidekiq, type SidekiqLoad } from '../../../src/lib/redis/drain.js'
import { startRedis, type TestRedis } from '../../support/redis.js'

let server: TestRedis
let redis: RedisDatabase
const workers: Worker[] = []

beforeAll(async () => {
  server = await startRedis()
})

afterAll(() => server?.stop())

beforeEach(async () => {
  redis = await server.open({ prefix: 'town:' })
  await redis.write('FLUSHALL')
})

afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop()
  await redis.close()
})

interface WorkerOptions {
  queues: string[]
  /** Jobs it ends between two heartbeats. */
  speed: number
  /** Jobs under way that end only when it was made quiet, and so many heartbeats later. */
  stuckFor?: number
  /** Its clock, in seconds, is off by this much. */
  skew?: number
  deaf?: boolean
}

/** Does to Redis what a Sidekiq process does, with a heartbeat every 20 ms. */
class Worker {
  #quiet = false
  #running = true
  #ended: Promise<void>
  #stuck: number

  constructor(
    readonly identity: string,
    readonly options: WorkerOptions,
    readonly connection: RedisDatabase,
  ) {
    this.#stuck = options.stuckFor ?? 0
    this.#ended = this.#live()
  }

  async stop(): Promise<void> {
    this.#running = false
    await this.#ended
    await this.connection.close()
  }

  async #live(): Promise<void> {
    while (this.#running) {
      for (let job = 0; job < this.options.speed && !this.#quiet; job++) await this.#work()
      if (this.#quiet && this.#stuck > 0) this.#stuck -= 1
      await this.#beat()
      await wait(20)
    }
  }

  async #work(): Promise<void> {
    for (const queue of this.options.queues) await this.connection.write('RPOP', this.connection.key(`queue:${queue}`))
  }

  async #beat(): Promise<void> {
    const key = (name: string) => this.connection.key(name)
    const info = JSON.stringify({ hostname: 'host', pid: 1, queues: this.options.queues, concurrency: 5 })
    const beat = Date.now() / 1000 + (this.options.skew ?? 0)
    const busy = this.#stuck > 0 ? 1 : 0
    await this.connection.write('SADD', key('processes'), this.identity)
    const fields = ['info', info, 'busy', busy, 'beat', beat, 'quiet', String(this.#quiet)]
    await this.connection.write('HSET', key(this.identity), ...fields)
    const signal = await this.connection.write('RPOP', key(`${this.identity}-signals`))
    if (signal === 'TSTP' && !this.options.deaf) this.#quiet = true
  }
}

async function start(options: WorkerOptions, identity = `host:${workers.length + 1}:0123456789ab`): Promise<void> {
  workers.push(new Worker(identity, options, await server.open({ prefix: 'town:' })))
  while (!(await redis.read('EXISTS', redis.key(identity)))) await wait(5)
}

async function push(queue: string, jobs: number): Promise<void> {
  await redis.write('SADD', redis.key('queues'), queue)
  await redis.write('LPUSH', redis.key(`queue:${queue}`), ...Array.from({ length: jobs }, (_, id) => `{"id":${id}}`))
}

test('the queues run empty, then no new job is begun', async () => {
  await push('default', 30)
  await start({ queues: ['default'], speed: 5 })
  const loads: SidekiqLoad[] = []
  const left = await drainSidekiq(redis, { seconds: 20, everyMs: 10, onProgress: load => loads.push(load) })
  expect(left).toMatchObject({ idle: true, processes: 1, quiet: 1, busy: 0, waiting: 0, queues: [] })
  expect(loads.at(0)).toMatchObject({ processes: 1, quiet: 0 })
  expect(loads.filter(({ waiting }) => waiting > 0).every(({ quiet }) => quiet === 0)).toBe(true)
})

test('what a process told before the queues were empty is not believed', async () => {
  const identity = 'host:1:0123456789ab'
  const told = async (beat: number, busy: number, quiet = false) => {
    const info = JSON.stringify({ queues: ['default'] })
    await redis.write('SADD', redis.key('processes'), identity)
    const fields = ['info', info, 'busy', busy, 'beat', beat, 'quiet', String(quiet)]
    await redis.write('HSET', redis.key(identity), ...fields)
  }
  const signals = () => redis.read('LLEN', redis.key(`${identity}-signals`))
  await told(1_780_000_000, 0)
  const draining = drainSidekiq(redis, { seconds: 20, everyMs: 5 })
  await wait(60)
  expect(await signals()).toBe(0)
  await told(1_780_000_010, 1)
  await wait(60)
  expect(await signals()).toBe(0)
  await told(1_780_000_020, 0)
  await wait(60)
  expect(await signals()).toBe(0)
  await told(1_780_000_030, 0)
  while ((await signals()) === 0) await wait(5)
  await told(1_780_000_040, 0, true)
  expect(await draining).toMatchObject({ idle: true, quiet: 1 })
})

test('a clock that is off by hours changes nothing', async () => {
  await push('default', 10)
  await start({ queues: ['default'], speed: 5, skew: -7_200 })
  await start({ queues: ['default'], speed: 5, skew: 7_200 })
  const left = await drainSidekiq(redis, { seconds: 20, everyMs: 10 })
  expect(left).toMatchObject({ idle: true, processes: 2, quiet: 2, queues: [] })
  expect(left.seconds).toBeLessThan(10)
})

test('what nobody takes is not waited for, and is told', async () => {
  await push('fasp', 3)
  await start({ queues: ['default'], speed: 1 })
  const left = await drainSidekiq(redis, { seconds: 20, everyMs: 10 })
  expect(left).toMatchObject({ idle: true, queues: [{ name: 'fasp', size: 3 }] })
  expect(left.seconds).toBeLessThan(10)
})

test('when the time is over, the rest is left and the jobs under way end', async () => {
  await push('default', 5)
  await start({ queues: ['default'], speed: 0, stuckFor: 5 })
  const left = await drainSidekiq(redis, { seconds: 0.1, graceSeconds: 20, everyMs: 10 })
  expect(left).toMatchObject({ idle: true, busy: 0, queues: [{ name: 'default', size: 5 }] })
})

test('with no time at all, no job is begun any more', async () => {
  await push('default', 5_000)
  await start({ queues: ['default'], speed: 1 })
  const left = await drainSidekiq(redis, { seconds: 0, everyMs: 10 })
  expect(left).toMatchObject({ idle: true, quiet: 1 })
  expect(left.queues[0]?.size).toBeGreaterThan(4_000)
})

test('a job that does not end, or a process that does not listen, is told as not idle', async () => {
  await start({ queues: ['default'], speed: 0, stuckFor: 1_000_000 })
  expect(await drainSidekiq(redis, { seconds: 0, graceSeconds: 0.2, everyMs: 10 })).toMatchObject({
    idle: false,
    busy: 1,
  })
  await start({ queues: ['default'], speed: 0, deaf: true })
  const left = await drainSidekiq(redis, { seconds: 0, graceSeconds: 0.2, everyMs: 10 })
  expect(left).toMatchObject({ idle: false, processes: 2, quiet: 1 })
})

test('no process is at rest, whatever waits', async () => {
  await push('default', 2)
  const left = await drainSidekiq(redis, { seconds: 20, everyMs: 10 })
  expect(left).toEqual({
    ...{ idle: true, seconds: 0, processes: 0, quiet: 0, busy: 0, waiting: 0 },
    queues: [{ name: 'default', size: 2 }],
  })
})

test('a dry run tells nobody and waits for nothing', async () => {
  await push('default', 2)
  await start({ queues: ['other'], speed: 0, stuckFor: 1_000_000 })
  const ledger = new Ledger()
  const dry = await server.open({ prefix: 'town:' }, { ledger, dryRun: true })
  expect(await drainSidekiq(dry, { seconds: 60 })).toMatchObject({ idle: false, busy: 1, quiet: 0, seconds: 0 })
  await dry.close()
  expect(ledger.entries).toEqual([
    {
      kind: 'redis',
      exact: 'LPUSH town:host:1:0123456789ab-signals TSTP',
      byHand: "bin/rails runner 'Sidekiq::ProcessSet.new.each(&:quiet!)'",
    },
  ])
})

test('a signal that nobody hears is forgotten', async () => {
  await start({ queues: ['default'], speed: 0 })
  await workers.pop()?.stop()
  expect(await quietSidekiq(redis)).toBe(1)
  expect(await redis.read('TTL', redis.key('host:1:0123456789ab-signals'))).toBeGreaterThan(50)
})

test('the operator ends the waiting', async () => {
  await start({ queues: ['default'], speed: 0, stuckFor: 1_000_000 })
  const stop = new AbortController()
  const draining = drainSidekiq(redis, { seconds: 60, signal: stop.signal })
  setTimeout(() => stop.abort(new Error('enough')), 50)
  await expect(draining).rejects.toThrow('enough')
})
