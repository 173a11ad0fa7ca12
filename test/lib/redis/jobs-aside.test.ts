import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { RefusedError } from '../../../src/lib/errors.js'
import { Ledger } from '../../../src/lib/ledger.js'
import type { RedisDatabase } from '../../../src/lib/redis/access.js'
import { dropSavedJobs, jobsSaved, pendingJobs, replayJobs, saveJobs } from '../../../src/lib/redis/jobs-aside.js'
import { startRedis, type TestRedis } from '../../support/redis.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const NOW = new Date('2026-07-01T12:00:00Z')
const EMPTY = { queues: [], schedule: 0, retry: 0, dead: 0, total: 0 }

let server: TestRedis
let redis: RedisDatabase
let folder: string
let path: string

beforeAll(async () => {
  server = await startRedis()
})

afterAll(() => server?.stop())

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-jobs-'))
  path = join(folder, 'jobs.jsonl')
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

function job(queue: string, id: number): string {
  return `{"class":"Worker","args":[10987654321098765${id}, "é\u2028\\u0000"],"queue":"${queue}","created_at":1782907200.5}`
}

async function fill(): Promise<void> {
  const jobs = Array.from({ length: 450 }, (_, id) => job('push', id))
  await redis.write('LPUSH', redis.key('queue:push'), ...jobs)
  await redis.write('SADD', redis.key('queues'), 'push', 'unlisted')
  await redis.write('LPUSH', redis.key('queue:ingress'), job('ingress', 1))
  await redis.write('ZADD', redis.key('retry'), '1782907200.1234567', job('pull', 1), '1782907300', job('pull', 2))
  await redis.write('ZADD', redis.key('schedule'), '1e+20', job('default', 1))
  await redis.write('ZADD', redis.key('dead'), '-1.5', job('default', 2))
}

const FILLED = {
  ...{
    queues: [
      { name: 'ingress', size: 1 },
      { name: 'push', size: 450 },
    ],
    schedule: 1,
    retry: 2,
    dead: 1,
  },
  total: 455,
}

/** Everything of the jobs, byte for byte. */
async function contents(): Promise<string> {
  const all: unknown[] = []
  for (const name of ['queue:push', 'queue:ingress', 'queue:a']) {
    all.push(await redis.readBytes('LRANGE', redis.key(name), 0, -1))
  }
  for (const name of ['schedule', 'retry', 'dead']) {
    all.push(await redis.readBytes('ZRANGE', redis.key(name), 0, -1, 'WITHSCORES'))
  }
  return JSON.stringify(all)
}

describe.each(['', 'to*n:'])('with the prefix "%s"', prefix => {
  beforeEach(async () => {
    redis = await server.open({ prefix })
    await redis.write('FLUSHALL')
    await fill()
  })

  afterEach(() => redis.close())

  test('pending jobs are counted, those of a queue that Sidekiq does not list as well', async () => {
    expect(await pendingJobs(redis)).toEqual(FILLED)
  })

  test('they are saved for their owner alone, removed, and put back byte for byte', async () => {
    const before = await contents()
    expect(await saveJobs(redis, path, NOW)).toEqual(FILLED)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(await contents()).toBe(before)
    expect(await dropSavedJobs(redis, path)).toBe(455)
    expect(await pendingJobs(redis)).toEqual(EMPTY)
    expect(await replayJobs(redis, path)).toEqual({ replayed: 455, before: 0, kept: 0 })
    expect(await contents()).toBe(before)
    expect(await redis.read('SISMEMBER', redis.key('queues'), 'ingress')).toBe(1)
  })

  test('a dry run writes neither a file nor to Redis, and shows no payload', async () => {
    const ledger = new Ledger()
    const dry = await server.open({ prefix }, { ledger, dryRun: true })
    const before = await contents()
    expect(await saveJobs(dry, path, NOW)).toEqual(FILLED)
    expect(await dropSavedJobs(dry, path)).toBe(455)
    await expect(jobsSaved(path)).rejects.toBeInstanceOf(RefusedError)
    expect(await contents()).toBe(before)
    await saveJobs(redis, path, NOW)
    await dropSavedJobs(redis, path)
    expect(await replayJobs(dry, path)).toEqual({ replayed: 455, before: 0, kept: 0 })
    await dry.close()
    expect(await pendingJobs(redis)).toEqual(EMPTY)
    expect(ledger.entries.map(({ exact }) => exact)).toEqual([
      `UNLINK ${prefix}queue:ingress (1 jobs, as they were saved)`,
      `UNLINK ${prefix}queue:push (450 jobs, as they were saved)`,
      `UNLINK ${prefix}schedule (1 jobs, as they were saved)`,
      `UNLINK ${prefix}retry (2 jobs, as they were saved)`,
      `UNLINK ${prefix}dead (1 jobs, as they were saved)`,
      `LPUSH, ZADD … (the 455 jobs of ${path})`,
    ])
    expect(JSON.stringify(ledger.entries)).not.toContain('Worker')
  })
})

describe('jobs', { timeout: FULL ? 180_000 : 30_000 }, () => {
  beforeEach(async () => {
    redis = await server.open()
    await redis.write('FLUSHALL')
  })

  afterEach(() => redis.close())

  test('of any bytes survive', async () => {
    const payload = fc.oneof(
      fc.string(),
      fc.uint8Array().map(bytes => Buffer.from(bytes).toString('latin1')),
    )
    const jobs = fc.uniqueArray(payload, { minLength: 1, maxLength: 12 })
    let run = 0
    await fc.assert(
      fc.asyncProperty(jobs, jobs, async (queued, retried) => {
        await redis.write('FLUSHALL')
        const file = `${path}${run++}`
        await redis.write('SADD', 'queues', 'a')
        await redis.writeAs({}, 'LPUSH', 'queue:a', ...queued.map(text => Buffer.from(text, 'latin1')))
        for (const [at, text] of retried.entries())
          await redis.writeAs({}, 'ZADD', 'retry', at / 3, Buffer.from(text, 'latin1'))
        const before = await contents()
        await saveJobs(redis, file, NOW)
        await dropSavedJobs(redis, file)
        await replayJobs(redis, file)
        expect(await contents()).toBe(before)
      }),
      { numRuns: FULL ? 1_000 : 15 },
    )
  })

  test('of other applications stay where they are', async () => {
    await redis.write('SET', 'queue:length', '7')
    await redis.write('LPUSH', 'queue:images', '{"path":"/a.png"}', 'b')
    await redis.write('SADD', 'queues', 'length')
    expect(await saveJobs(redis, path, NOW)).toEqual(EMPTY)
    expect(await dropSavedJobs(redis, path)).toBe(0)
    expect(await redis.read('DBSIZE')).toBe(3)
  })

  test('that were put back are not put back again', async () => {
    await fill()
    await saveJobs(redis, path, NOW)
    await dropSavedJobs(redis, path)
    await replayJobs(redis, path)
    await redis.write('DEL', 'queue:push', 'queue:ingress', 'schedule', 'retry', 'dead')
    expect(await replayJobs(redis, path)).toEqual({ replayed: 0, before: 455, kept: 0 })
    expect(await pendingJobs(redis)).toEqual(EMPTY)
    const [marker] = (await redis.read('KEYS', 'mstdn-ops:*')) as [string]
    expect(await redis.read('TTL', marker)).toBeGreaterThan(89 * 86_400)
  })

  test.each([1, 2, 3])('cut off in batch %i are put back wholly, none twice', async batch => {
    await fill()
    const before = await contents()
    await saveJobs(redis, path, NOW)
    await dropSavedJobs(redis, path)
    await expect(replayJobs(losing(redis, batch), path)).rejects.toThrow('lost')
    const { replayed, before: earlier } = await replayJobs(redis, path)
    expect(earlier).toBe(Math.min(batch * 200, 455))
    expect(replayed + earlier).toBe(455)
    expect(await contents()).toBe(before)
  })

  test('are put back by one run of two at a time', async () => {
    await fill()
    await saveJobs(redis, path, NOW)
    await dropSavedJobs(redis, path)
    const other = await server.open()
    const both = await Promise.allSettled([replayJobs(redis, path), replayJobs(other, path)])
    await other.close()
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    await replayJobs(redis, path)
    expect(await pendingJobs(redis)).toEqual(FILLED)
  })

  test('put back wait behind those that came since', async () => {
    await redis.write('SADD', 'queues', 'push')
    await redis.write('LPUSH', 'queue:push', 'old 1', 'old 2')
    await saveJobs(redis, path, NOW)
    await dropSavedJobs(redis, path)
    await redis.write('LPUSH', 'queue:push', 'new')
    await replayJobs(redis, path)
    const popped = []
    for (let at = 0; at < 3; at++) popped.push(await redis.read('RPOP', 'queue:push'))
    expect(popped).toEqual(['new', 'old 1', 'old 2'])
  })

  test.each<[string, () => Promise<unknown>]>([
    ['pushed', () => redis.write('LPUSH', 'queue:push', 'another')],
    ['taken', () => redis.write('RPOP', 'queue:push')],
    ['taken and pushed', () => redis.write('RPOPLPUSH', 'queue:push', 'queue:push')],
    ['to be tried again', () => redis.write('ZADD', 'retry', 1, 'another')],
    ['taken to be tried', () => redis.write('ZPOPMIN', 'retry')],
  ])('since %s keep what they are in from being removed', async (_title, change) => {
    await fill()
    await saveJobs(redis, path, NOW)
    await change()
    await expect(dropSavedJobs(redis, path)).rejects.toMatchObject({ code: 'jobs-changed' })
    expect((await pendingJobs(redis)).total).toBeGreaterThan(0)
  })

  test('removed in part are saved no second time: the whole file stays', async () => {
    await fill()
    await saveJobs(redis, path, NOW)
    const text = readFileSync(path, 'utf8')
    await expect(dropSavedJobs(losing(redis, 2), path)).rejects.toThrow('lost')
    expect(await saveJobs(redis, path, new Date())).toEqual(FILLED)
    expect(readFileSync(path, 'utf8')).toBe(text)
    expect(await dropSavedJobs(redis, path)).toBe(4)
    expect(await pendingJobs(redis)).toEqual(EMPTY)
  })

  test.each([0, 1, 2, 5])('of which %i places were removed are put back in those alone', async places => {
    await fill()
    const before = await contents()
    await saveJobs(redis, path, NOW)
    if (places < 5) await dropSavedJobs(losing(redis, places, 'before'), path).catch(() => undefined)
    else await dropSavedJobs(redis, path)
    const { replayed, kept } = await replayJobs(redis, path)
    expect(replayed + kept).toBe(455)
    expect(replayed).toBe([0, 1, 451, 452, 454, 455][places])
    expect(await contents()).toBe(before)
  })

  test('put back may be set aside again: the file that was put back gets another name', async () => {
    await fill()
    const before = await contents()
    for (let round = 0; round < 3; round++) {
      expect(await saveJobs(redis, path, NOW)).toEqual(FILLED)
      expect(await dropSavedJobs(redis, path)).toBe(455)
      expect(await replayJobs(redis, path)).toMatchObject({ replayed: 455 })
    }
    expect(await contents()).toBe(before)
    expect(readdirSync(folder).toSorted()).toEqual(['jobs.jsonl', 'jobs.jsonl.1', 'jobs.jsonl.2'])
  })

  test('saved and never removed are saved anew, as they are by then', async () => {
    await fill()
    await saveJobs(redis, path, NOW)
    await redis.write('RPOP', 'queue:push')
    expect(await saveJobs(redis, path, NOW)).toMatchObject({ total: 454 })
    expect(await dropSavedJobs(redis, path)).toBe(454)
  })

  test('put back in part are not set aside again before the rest is put back', async () => {
    await fill()
    await saveJobs(redis, path, NOW)
    await dropSavedJobs(redis, path)
    await expect(replayJobs(losing(redis, 2), path)).rejects.toThrow('lost')
    await expect(saveJobs(redis, path, NOW)).rejects.toMatchObject({ code: 'jobs-half-replayed' })
    await replayJobs(redis, path)
    expect(await saveJobs(redis, path, NOW)).toEqual(FILLED)
  })

  test('of a Redis that lost its data are put back where nothing waits, also when cut off', async () => {
    await fill()
    const before = await contents()
    await saveJobs(redis, path, NOW)
    await redis.write('FLUSHALL')
    await expect(replayJobs(losing(redis, 2), path)).rejects.toThrow('lost')
    await replayJobs(redis, path)
    expect(await contents()).toBe(before)
  })

  test('that were taken since they were saved are not taken for removed', async () => {
    await redis.write('LPUSH', 'queue:push', job('push', 1))
    await saveJobs(redis, path, NOW)
    await redis.write('RPOP', 'queue:push')
    await expect(dropSavedJobs(redis, path)).rejects.toMatchObject({ code: 'jobs-changed' })
  })

  test('whose file was cut off while it was written are saved anew', async () => {
    await fill()
    writeFileSync(`${path}.partial`, '{"format":"mstdn-ops jobs 1"')
    expect(await saveJobs(redis, path, NOW)).toEqual(FILLED)
    expect(await jobsSaved(path)).toEqual(FILLED)
  })

  test('of nothing make a file as well, and leave nothing else', async () => {
    expect(await saveJobs(redis, path, NOW)).toEqual(EMPTY)
    expect(await dropSavedJobs(redis, path)).toBe(0)
    expect(await replayJobs(redis, path)).toEqual({ replayed: 0, before: 0, kept: 0 })
    expect(await redis.read('DBSIZE')).toBe(0)
  })

  test('in a file that was cut anywhere are neither removed nor put back', async () => {
    await redis.write('LPUSH', 'queue:push', job('push', 1), job('push', 2))
    await redis.write('ZADD', 'dead', 3, 'three')
    await saveJobs(redis, path, NOW)
    const { size } = statSync(path)
    for (let length = size - 2; length >= 0; length -= FULL ? 1 : 7) {
      truncateSync(path, length)
      await expect(dropSavedJobs(redis, path)).rejects.toMatchObject({ code: 'jobs-file-unreadable' })
      await expect(replayJobs(redis, path)).rejects.toBeInstanceOf(RefusedError)
    }
    expect(await pendingJobs(redis)).toMatchObject({ total: 3 })
  })

  test.each([
    ['other text', 'hello\n'],
    ['another format', '{"format":"x","id":"1","savedAt":"x"}\n{"jobs":0}\n'],
    [
      'a line that is no job',
      '{"format":"mstdn-ops jobs 1","id":"1","savedAt":"x"}\n{"queue":7,"job":"x"}\n{"jobs":1}\n',
    ],
    [
      'a job without its time',
      '{"format":"mstdn-ops jobs 1","id":"1","savedAt":"x"}\n{"set":"retry","job":"x"}\n{"jobs":1}\n',
    ],
    ['a wrong number', '{"format":"mstdn-ops jobs 1","id":"1","savedAt":"x"}\n{"queue":"a","job":"x"}\n{"jobs":2}\n'],
  ])('%s is refused', async (_title, text) => {
    writeFileSync(path, text)
    await expect(replayJobs(redis, path)).rejects.toMatchObject({ code: 'jobs-file-unreadable', exitCode: 3 })
    expect(await redis.read('DBSIZE')).toBe(0)
  })
})

/** A connection that is lost right after its nth write, which nobody heard of then; or before the one after it. */
function losing(database: RedisDatabase, nth: number, when: 'after' | 'before' = 'after'): RedisDatabase {
  let writes = 0
  const writeAs: RedisDatabase['writeAs'] = async (...args) => {
    if (when === 'before' && writes === nth) throw new Error('lost')
    const reply = await database.writeAs(...args)
    writes += 1
    if (when === 'after' && writes === nth) throw new Error('lost')
    return reply
  }
  return Object.assign(Object.create(database), {
    ...{ prefix: database.prefix, dryRun: false, where: database.where, writeAs },
    ...{ read: database.read.bind(database), byHand: database.byHand.bind(database) },
  })
}
