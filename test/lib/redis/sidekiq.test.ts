import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { UsageError } from '../../../src/lib/errors.js'
import { Ledger } from '../../../src/lib/ledger.js'
import type { RedisDatabase } from '../../../src/lib/redis/access.js'
import { clearQueue, processes, queues, retryAll, schedulerState, stats } from '../../../src/lib/redis/sidekiq.js'
import { startRedis, type TestRedis } from '../../support/redis.js'

const NOW = new Date('2026-07-01T12:00:00Z')
const SECONDS = NOW.getTime() / 1000
const GARBAGE = ['', 'not json', '[]', 'null', '{"class":', '\u001b[31m']

let server: TestRedis
let redis: RedisDatabase

beforeAll(async () => {
  server = await startRedis()
})

afterAll(() => server?.stop())

/** Everything holds in an instance of its own Redis and in one that shares it under a namespace. */
describe.each(['', 'mastodon:'])('with the prefix "%s"', prefix => {
  beforeAll(async () => {
    redis = await server.open({ prefix })
    return () => redis.close()
  })

  beforeEach(() => redis.write('FLUSHALL'))

  async function push(queue: string, job: object | string) {
    await redis.write('SADD', redis.key('queues'), queue)
    await redis.write('LPUSH', redis.key(`queue:${queue}`), typeof job === 'string' ? job : JSON.stringify(job))
  }

  async function fail(entry: string, due: number) {
    await redis.write('ZADD', redis.key('retry'), due, entry)
  }

  function job(queue: string, id: number) {
    return `{"class":"Worker","args":[10987654321098765${id}],"queue":"${queue}","created_at":${SECONDS - 60}.5,"retry_count":2}`
  }

  describe('queues', () => {
    test('latency is that of the oldest job, in the seconds of Sidekiq 7 and the milliseconds of 8', async () => {
      await push('default', { enqueued_at: SECONDS - 90.5 })
      await push('default', { enqueued_at: SECONDS - 1 })
      await push('push', { enqueued_at: NOW.getTime() - 30_000 })
      expect(await queues(redis, NOW)).toEqual([
        { name: 'default', size: 2, latency: 90.5 },
        { name: 'push', size: 1, latency: 30 },
      ])
    })

    test('by the server’s clock where none is passed', async () => {
      await push('default', { enqueued_at: Date.now() - 60_000 })
      const [queue] = await queues(redis)
      expect(Math.round(queue?.latency ?? 0)).toBe(60)
    })

    test('an emptied queue waits for nothing, a job from the future not less', async () => {
      await redis.write('SADD', redis.key('queues'), 'empty')
      await push('future', { enqueued_at: SECONDS + 100 })
      expect((await queues(redis, NOW)).map(queue => queue.latency)).toEqual([0, 0])
    })

    test.each(GARBAGE)('%j for a job leaves the latency unknown', async payload => {
      await push('default', payload)
      expect(await queues(redis, NOW)).toEqual([{ name: 'default', size: 1, latency: undefined }])
    })

    test('a key of another type reads as empty', async () => {
      await redis.write('SADD', redis.key('queues'), 'odd')
      await redis.write('SET', redis.key('queue:odd'), 'text')
      expect(await queues(redis, NOW)).toEqual([{ name: 'odd', size: 0, latency: 0 }])
    })
  })

  describe('processes', () => {
    const info = {
      hostname: 'web-1',
      pid: 7,
      queues: ['default', 'push', 'push'],
      concurrency: 5,
      started_at: SECONDS - 3600,
      version: '7.3.9',
    }

    async function beat(identity: string, fields: Record<string, string>) {
      await redis.write('SADD', redis.key('processes'), identity)
      await redis.write('HSET', redis.key(identity), ...Object.entries(fields).flat())
    }

    test('tell who works, on what, and when they were last heard of', async () => {
      await beat('web-1:7:abc', { info: JSON.stringify(info), busy: '2', beat: `${SECONDS - 8}`, quiet: 'true' })
      expect(await processes(redis, NOW)).toEqual([
        {
          identity: 'web-1:7:abc',
          hostname: 'web-1',
          pid: 7,
          queues: ['default', 'push'],
          concurrency: 5,
          busy: 2,
          beatAge: 8,
          quiet: true,
          startedAt: new Date('2026-07-01T11:00:00Z'),
          version: '7.3.9',
        },
      ])
    })

    test('the dead, the broken and the hostile are left out', async () => {
      await redis.write('SADD', redis.key('processes'), 'dead:1:x')
      await beat('broken:1:x', { info: 'not json', beat: 'soon' })
      await redis.write('SADD', redis.key('processes'), 'retry')
      await fail('x', 1)
      await beat('odd:1:x', { info: '{"pid":"7","queues":"default","concurrency":null}' })
      expect(await processes(redis, NOW)).toMatchObject([
        { identity: 'odd:1:x', hostname: '', pid: undefined, queues: [], busy: 0, beatAge: undefined, quiet: false },
      ])
    })
  })

  test('stats count everything', async () => {
    await push('default', {})
    await push('default', {})
    await push('pull', {})
    await fail('a', 1)
    await redis.write('ZADD', redis.key('dead'), 1, 'a', 2, 'b')
    await redis.write('ZADD', redis.key('schedule'), 1, 'a', 2, 'b', 3, 'c')
    await redis.write('SET', redis.key('stat:processed'), '1234567')
    expect(await stats(redis)).toEqual({
      processed: 1_234_567,
      failed: 0,
      enqueued: 3,
      retry: 1,
      dead: 2,
      scheduled: 3,
    })
  })

  describe('retrying', () => {
    test('moves every job to its queue, ids whole; what is no job stays', async () => {
      for (let id = 0; id < 5; id++) await fail(job(id % 2 ? 'push' : 'pull', id), id)
      await fail('garbage', 9)
      expect(await retryAll(redis, { now: NOW })).toEqual({ moved: 5, unreadable: 1, gone: 0 })
      expect(await redis.read('ZRANGE', redis.key('retry'), 0, -1)).toEqual(['garbage'])
      const pull = (await redis.read('LRANGE', redis.key('queue:pull'), 0, -1)) as string[]
      expect(pull.map(payload => /\[(\d+)\]/.exec(payload)?.[1])).toEqual([
        '109876543210987654',
        '109876543210987652',
        '109876543210987650',
      ])
      expect(await queues(redis, NOW)).toEqual([
        { name: 'pull', size: 3, latency: 0 },
        { name: 'push', size: 2, latency: 0 },
      ])
    })

    test('of many, and with a limit those first that are due first', async () => {
      for (let id = 0; id < 250; id++) await fail(job('push', id), id)
      expect(await retryAll(redis, { now: NOW, limit: 3 })).toMatchObject({ moved: 3 })
      expect((await redis.read('ZRANGE', redis.key('retry'), 0, 0)) as string[]).toEqual([job('push', 3)])
      expect(await retryAll(redis, { now: NOW })).toMatchObject({ moved: 247, gone: 0 })
      expect(await stats(redis)).toMatchObject({ retry: 0, enqueued: 250 })
      expect(await retryAll(redis, { now: NOW, limit: 0 })).toEqual({ moved: 0, unreadable: 0, gone: 0 })
    })

    test('two at once move no job twice', async () => {
      for (let id = 0; id < 300; id++) await fail(job('push', id), id)
      const other = await server.open({ prefix })
      const both = await Promise.all([retryAll(redis, { now: NOW }), retryAll(other, { now: NOW })])
      await other.close()
      expect(both[0].moved + both[1].moved).toBe(300)
      expect(await stats(redis)).toMatchObject({ retry: 0, enqueued: 300 })
    })

    test('a dry run says how many and moves none; no payload stands in the plan', async () => {
      for (let id = 0; id < 150; id++) await fail(job('push', id), id)
      const ledger = new Ledger()
      const dry = await server.open({ prefix }, { ledger, dryRun: true })
      expect(await retryAll(dry, { now: NOW })).toEqual({ moved: 150, unreadable: 0, gone: 0 })
      await dry.close()
      expect(await stats(redis)).toMatchObject({ retry: 150, enqueued: 0 })
      expect(ledger.byHand()).toEqual(["bin/rails runner 'Sidekiq::RetrySet.new.retry_all'"])
      expect(JSON.stringify(ledger.entries)).not.toContain('Worker')
    })
  })

  describe('clearing a queue', () => {
    test('drops its jobs and only them', async () => {
      await push('pull', {})
      await push('pull', {})
      await push('push', {})
      expect(await clearQueue(redis, 'pull')).toBe(2)
      expect(await queues(redis)).toMatchObject([{ name: 'push', size: 1 }])
    })

    test('a dry run says how many there are', async () => {
      await push('pull', {})
      const ledger = new Ledger()
      const dry = await server.open({ prefix }, { ledger, dryRun: true })
      expect(await clearQueue(dry, 'pull')).toBe(1)
      await dry.close()
      expect(await stats(redis)).toMatchObject({ enqueued: 1 })
      expect(ledger.byHand()).toEqual([`bin/rails runner 'Sidekiq::Queue.new("pull").clear'`])
    })

    test('a name that is none is refused with those that are', async () => {
      await push('pull', {})
      await expect(clearQueue(redis, 'pul')).rejects.toBeInstanceOf(UsageError)
      await expect(clearQueue(redis, 'pul')).rejects.toMatchObject({ why: 'there are pull' })
    })

    test('a hostile name stays inside its quotes', async () => {
      const name = `a'"; touch /tmp/p; #{\`id\`}`
      await push(name, {})
      const ledger = new Ledger()
      const dry = await server.open({ prefix }, { ledger, dryRun: true })
      await clearQueue(dry, name)
      await dry.close()
      expect(ledger.byHand()[0]?.replaceAll(/\\u\{[\da-f]+\}/g, '_')).toBe(
        `bin/rails runner 'Sidekiq::Queue.new("a____touch__tmp_p_____id__").clear'`,
      )
    })
  })

  test('the scheduler’s state is what it last wrote', async () => {
    const set = (table: string, ...fields: string[]) =>
      redis.write('HSET', redis.key(`sidekiq-scheduler:${table}`), ...fields)
    await set('next_times', 'vacuum_scheduler', '2026-07-02 03:00:00 UTC', 'odd', 'soon')
    await set('last_times', 'vacuum_scheduler', '2026-07-01 05:00:00 +0200', 'retired', '2020-01-01 00:00:00 UTC')
    await set('states', 'vacuum_scheduler', '{"enabled":false}', 'odd', 'not json')
    expect(await schedulerState(redis)).toEqual([
      { name: 'odd', next: undefined, last: undefined, enabled: true },
      { name: 'retired', next: undefined, last: new Date('2020-01-01T00:00:00Z'), enabled: true },
      {
        name: 'vacuum_scheduler',
        next: new Date('2026-07-02T03:00:00Z'),
        last: new Date('2026-07-01T03:00:00Z'),
        enabled: false,
      },
    ])
  })

  test('an empty Redis is an idle Sidekiq', async () => {
    const idle = await Promise.all([queues(redis), processes(redis), schedulerState(redis), retryAll(redis)])
    expect(idle).toEqual([[], [], [], { moved: 0, unreadable: 0, gone: 0 }])
  })
})
