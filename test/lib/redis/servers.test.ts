import { expect, test } from 'vitest'
import type { OtherRedis } from '../../../src/lib/backends/backend.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'
import { redisServers } from '../../../src/lib/redis/servers.js'
import { redisConnectorTo } from '../../support/redis.js'

const [MAIN, JOBS, CACHE] = ['main', 'jobs', 'cache'].map(host => redisConnectorTo({ host, database: 0, prefix: '' }))

async function rolesOf(version: string, others?: readonly (readonly OtherRedis['roles'][number][])[]) {
  if (MAIN === undefined || JOBS === undefined || CACHE === undefined) throw new Error('there are three')
  const named = others?.map((roles, at) => ({ roles, connector: at === 0 ? JOBS : CACHE }))
  const main = { ...MAIN, ...(named && { others: async () => named }) }
  const servers = await redisServers(main, MastodonVersion.of(version))
  const hosts = await Promise.all(servers.map(async ({ connector }) => (await connector.target()).host))
  return servers.map(({ roles }, at) => [hosts[at], ...roles])
}

test('without others, the main server has every role', async () => {
  expect(await rolesOf('4.5.3')).toEqual([['main', 'main', 'sidekiq', 'cache']])
  expect(await rolesOf('4.5.3', [])).toEqual([['main', 'main', 'sidekiq', 'cache']])
})

test.each<[string, unknown[]]>([
  ['2.3.3', [['main', 'main', 'sidekiq', 'cache']]],
  [
    '3.3.0',
    [
      ['main', 'main', 'sidekiq'],
      ['cache', 'cache'],
    ],
  ],
  [
    '3.4.0',
    [
      ['main', 'main'],
      ['jobs', 'sidekiq'],
      ['cache', 'cache'],
    ],
  ],
])('%s has no server that it does not read', async (version, servers) => {
  expect(await rolesOf(version, [['sidekiq'], ['cache']])).toEqual(servers)
})

test('a server of both roles has only what the version moves there', async () => {
  expect(await rolesOf('3.3.0', [['sidekiq', 'cache']])).toEqual([
    ['main', 'main', 'sidekiq'],
    ['jobs', 'cache'],
  ])
  expect(await rolesOf('4.7.2', [['sidekiq', 'cache']])).toEqual([
    ['main', 'main'],
    ['jobs', 'sidekiq', 'cache'],
  ])
})
