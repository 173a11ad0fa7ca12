import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'
import type { RedisDatabase } from '../../../src/lib/redis/access.js'
import { countBare, renameOwned } from '../../../src/lib/redis/namespace.js'
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
const LEFT = ['m*:uniquejobs:0123:LOCKED', 'm*_cache:views/1', 'm*:unheard of', 'session:1', 'mx:queue:default']

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
  expect(await renameOwned(redis, ALL, OUT)).toEqual({ keys: BARE.length, taken: [] })
  expect(await names()).toEqual([...BARE, ...LEFT].sort())
  expect(await redis.read('GET', 'queue:default')).toBe('m*:queue:default')
  expect(Number(await redis.read('TTL', 'rate_limit:1:follows:2'))).toBeGreaterThan(900)
})

test('done again nothing changes, and taken back every name is as before', async () => {
  const before = await names()
  await renameOwned(redis, ALL, OUT)
  expect(await renameOwned(redis, ALL, OUT)).toEqual({ keys: 0, taken: [] })
  expect(await renameOwned(redis, ALL, BACK)).toEqual({ keys: BARE.length, taken: [] })
  expect(await renameOwned(redis, ALL, BACK)).toEqual({ keys: 0, taken: [] })
  expect(await names()).toEqual(before)
})

test('a name that is taken is told, and nothing is lost of either key', async () => {
  await redis.write('SET', 'retry', 'of somebody else')
  expect(await renameOwned(redis, ALL, OUT)).toEqual({ keys: BARE.length - 1, taken: ['retry'] })
  expect(await redis.read('MGET', 'retry', 'm*:retry')).toEqual(['of somebody else', 'm*:retry'])
})

test('keys of a Mastodon without a namespace are counted, and those of the namespace or of others are not', async () => {
  expect([...(await countBare(redis, ALL, 'm*:'))]).toEqual([])
  for (const name of ['queue:mailers', 'feed:home:9', 'cache:other', 'm*:x:1:0123456789ab'])
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
  expect((await renameOwned(redis, ALL, OUT, keys => seen.push(keys))).keys).toBe(BARE.length + 6_000 - 1)
  expect(seen.length).toBeGreaterThan(10)
  expect(await redis.read('KEYS', 'm[*]:feed:*')).toEqual([])
})
