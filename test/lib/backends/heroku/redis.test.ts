import { afterAll, beforeAll, expect, test } from 'vitest'
import { isExcuse, redisOf } from '../../../../src/lib/backends/heroku/servers.js'
import { type FakeApi, startFakeApi } from './fake-api.js'

let api: FakeApi
beforeAll(async () => {
  api = await startFakeApi({})
})
afterAll(() => api.stop())

const MAIN = 'rediss://:canary-main@ec2-1.compute-1.amazonaws.com:6379'

async function others(config: Record<string, string>) {
  const redis = redisOf(api.app, new Map(Object.entries({ REDIS_URL: MAIN, ...config })), {})
  if (isExcuse(redis)) throw new Error(redis.cause)
  const found = (await redis.others?.()) ?? []
  return Promise.all(
    found.map(async ({ roles, connector }) => ({ roles, where: connector.where, target: await connector.target() })),
  )
}

test.each<[string, Record<string, string>]>([
  ['is named', {}],
  ['is another than the main one', { SIDEKIQ_REDIS_URL: MAIN, CACHE_REDIS_URL: `${MAIN}/0` }],
])('where none %s, there are no others', async (_title, config) => {
  expect(await others(config)).toEqual([])
})

test('each server is there once, with its password, its TLS and the namespace', async () => {
  const config = { SIDEKIQ_REDIS_URL: 'redis://:canary-jobs@jobs.example.org/2', REDIS_NAMESPACE: 'town' }
  const target = { password: 'canary-jobs', host: 'jobs.example.org', port: 6379, tls: 'none', prefix: 'town:' }
  expect(await others(config)).toEqual([
    { roles: ['sidekiq'], where: 'Sidekiq’s Redis of a', target: { ...target, database: 2 } },
  ])
  expect(await others({ ...config, CACHE_REDIS_URL: config.SIDEKIQ_REDIS_URL })).toMatchObject([
    { roles: ['sidekiq', 'cache'], where: 'Sidekiq’s Redis of a' },
  ])
  expect(await others({ CACHE_REDIS_URL: config.SIDEKIQ_REDIS_URL })).toMatchObject([
    { roles: ['cache'], where: 'the cache’s Redis of a' },
  ])
  expect(api.app.parts.output.redactor.text('it is canary-jobs')).not.toContain('canary')
})

test('a variable that is no URL is refused by name, without its text', async () => {
  const reading = others({ CACHE_REDIS_URL: 'canary:no url' })
  await expect(reading).rejects.toMatchObject({ exitCode: 3, message: expect.stringContaining('CACHE_REDIS_URL') })
  const error = await others({ CACHE_REDIS_URL: 'canary:no url' }).catch(caught => caught)
  expect(JSON.stringify(error)).not.toContain('canary')
})
