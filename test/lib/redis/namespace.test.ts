import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'
import type { RedisDatabase } from '../../../src/lib/redis/access.js'
import { countBare, dropBareLocks, renameOwned } from '../../../src/lib/redis/namespace.js'
import { startRedis, type TestRedis } from '../../support/redis.js'

const ALL = { version: MastodonVersion.of('4.3.8'), roles: ['main', 'sidekiq', 'cache'] } as const
const OUT = { from: 'm*:', to: '' }
const BACK = { from: '', to: 'm*:' }
const BARE = [
  'feed:home:1',
  'queue:default',
  'retry',
  'stat:processed',
  'activity:logins:1780000000',
  'rate_limit:1:follows:2',
]
/** A lock of a unique job, the cache, what no pattern knows, and another application's. */
const LEFT = [
  'other:x:1:0123456789ab',
  'm*:uniquejobs:0123:LOCKED',
  'm*_cache:views/1',
  'm*:unheard of',
  'session:1',
  'mx:queue:default',
]

let server: TestRedis
let redis: RedisDatabase

beforeAll(async () => {
  server = await startRedis()
  redis = await server.open({ prefix: 'm*:' })
})
afterAll(async () => {
  await redis?.close()
  await server?.stop()
})
beforeEach(async () => {
  await redis.write('FLUSHDB')
  for (const name of [...BARE.map(name => `m*:${name}`), ...LEFT]) await redis.write('SET', name, name)
})

async function names(): Promise<string[]> {
  return ((await redis.read('KEYS', '*')) as string[]).sort()
}

test('the keys of Mastodon lose the prefix, with what they hold; everything else keeps its name', async () => {
  await redis.write('EXPIRE', 'm*:rate_limit:1:follows:2', 1_000)
  expect(await renameOwned(redis, ALL, OUT)).toBe(BARE.length)
  expect(await names()).toEqual([...BARE, ...LEFT].sort())
  expect(await redis.read('GET', 'queue:default')).toBe('m*:queue:default')
  expect(Number(await redis.read('TTL', 'rate_limit:1:follows:2'))).toBeGreaterThan(900)
})

test('done again nothing changes, and taken back every name is as before', async () => {
  const before = await names()
  await renameOwned(redis, ALL, OUT)
  expect(await renameOwned(redis, ALL, OUT)).toBe(0)
  expect(await renameOwned(redis, ALL, BACK)).toBe(BARE.length)
  expect(await renameOwned(redis, ALL, BACK)).toBe(0)
  expect(await names()).toEqual(before)
})

test('what was written under both names becomes one', async () => {
  await redis.write('DEL', 'm*:queue:default', 'm*:retry', 'm*:stat:processed')
  for (const [prefix, what] of [
    ['m*:', 'town'],
    ['', 'bare'],
  ] as const) {
    for (let at = 0; at < 3; at += 1) await redis.write('LPUSH', `${prefix}queue:default`, `${what}${at}`)
    await redis.write('ZADD', `${prefix}retry`, what === 'town' ? 1 : 2, what)
    await redis.write('SADD', `${prefix}queues`, what, 'default')
    await redis.write('SET', `${prefix}stat:processed`, 20)
    await redis.write('SET', `${prefix}trending_tags:used:1`, what)
  }
  await renameOwned(redis, ALL, OUT)
  const jobs = ['bare2', 'bare1', 'bare0', 'town2', 'town1', 'town0']
  expect(await redis.read('LRANGE', 'queue:default', 0, -1)).toEqual(jobs)
  expect(await redis.read('ZRANGE', 'retry', 0, -1)).toEqual(['town', 'bare'])
  expect(((await redis.read('SMEMBERS', 'queues')) as string[]).sort()).toEqual(['bare', 'default', 'town'])
  expect(await redis.read('GET', 'stat:processed')).toBe('40')
  expect(await redis.read('GET', 'trending_tags:used:1')).toBe('bare')
  const left = (await names()).filter(name => name.startsWith('m*:'))
  expect(left).toEqual(LEFT.filter(name => name.startsWith('m*:')).sort())
})

test('a queue of many jobs that has both names loses none', async () => {
  for (const name of ['m*:queue:push', 'queue:push']) {
    for (let at = 0; at < 5; at += 1) {
      await redis.write('RPUSH', name, ...Array.from({ length: 1_000 }, (_, job) => `${name}${at * 1_000 + job}`))
    }
  }
  await renameOwned(redis, ALL, OUT)
  const jobs = (await redis.read('LRANGE', 'queue:push', 0, -1)) as string[]
  expect(new Set(jobs).size).toBe(10_000)
})

test('locks of unique jobs go where they stand without a prefix', async () => {
  await redis.write('SET', 'uniquejobs:1:LOCKED', 1)
  expect(await dropBareLocks(redis)).toBe(1)
  expect(await redis.read('EXISTS', 'm*:uniquejobs:0123:LOCKED')).toBe(1)
})

test('keys of a Mastodon without a namespace are counted, and those of the namespace or of others are not', async () => {
  expect([...(await countBare(redis, ALL, 'm*:'))]).toEqual([])
  for (const name of ['queue:mailers', 'feed:home:9', 'cache:other', 'm*:x:1:0123456789ab', 'other:x:1:0123456789ab'])
    await redis.write('SET', name, 1)
  expect(new Map(await countBare(redis, ALL, 'm*:'))).toEqual(
    new Map([
      ['jobs', 1],
      ['feeds', 1],
    ]),
  )
})

test('many keys: each is renamed once', async () => {
  for (let at = 0; at < 30; at += 1) {
    const pairs = Array.from({ length: 200 }, (_, key) => [`m*:feed:home:${at * 200 + key}`, 1]).flat()
    await redis.write('MSET', ...pairs)
  }
  const seen: number[] = []
  expect(await renameOwned(redis, ALL, OUT, keys => seen.push(keys))).toBe(BARE.length + 6_000 - 1)
  expect(seen.length).toBeGreaterThan(10)
  expect(await redis.read('KEYS', 'm[*]:feed:*')).toEqual([])
})
