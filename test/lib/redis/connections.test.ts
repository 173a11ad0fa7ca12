import { afterAll, beforeAll, expect, test } from 'vitest'
import { Ledger } from '../../../src/lib/ledger.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'
import { RedisConnections } from '../../../src/lib/redis/connections.js'
import { startRedis, type TestRedis } from '../../support/redis.js'

let server: TestRedis
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server?.stop())

const MEANS = { ledger: new Ledger(), dryRun: false }
const version = (text: string) => async () => MastodonVersion.of(text)

/** Sidekiq's own is database 1. */
function connections(release: string): RedisConnections {
  const others = async () => [{ roles: ['sidekiq' as const], connector: server.connector({ database: 1 }) }]
  return new RedisConnections({ ...server.connector(), others }, MEANS, version(release))
}

test('each role is found where the release keeps it', async () => {
  const redis = connections('4.5.3')
  await (await redis.of('main')).write('SET', 'which', 'main')
  await (await redis.of('sidekiq')).write('SET', 'which', 'jobs')
  expect(await (await redis.of('main')).read('GET', 'which')).toBe('main')
  expect(await (await redis.of('cache')).read('GET', 'which')).toBe('main')
  expect(await (await redis.of('sidekiq')).read('GET', 'which')).toBe('jobs')
  await redis.close()
})

test('a release that does not read the variable has all in one, in one connection', async () => {
  const redis = connections('3.3.0')
  expect(await redis.of('sidekiq')).toBe(await redis.of('main'))
  await redis.close()
})

test('where there is one server the version is not asked', async () => {
  const redis = new RedisConnections(server.connector(), MEANS, () => Promise.reject(new Error('not known')))
  expect(await redis.of('sidekiq')).toBe(await redis.of('main'))
  await redis.close()
})
