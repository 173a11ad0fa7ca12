import type { OtherRedis, RedisConnector } from './backend.js'

type OtherRole = OtherRedis['roles'][number]

/**
 * Returns the servers that are not the main one, each once. `main` and what `at` returns are texts of which equal ones mean
 * one database of one server.
 */
export async function othersAt(
  main: string,
  at: (role: OtherRole) => string,
  open: (role: OtherRole) => RedisConnector | Promise<RedisConnector>,
): Promise<OtherRedis[]> {
  const [sidekiq, cache] = [at('sidekiq'), at('cache')]
  const groups: OtherRole[][] = sidekiq === cache ? [['sidekiq', 'cache']] : [['sidekiq'], ['cache']]
  const apart = groups.flatMap(roles =>
    roles[0] === undefined || at(roles[0]) === main ? [] : [{ roles, first: roles[0] }],
  )
  return Promise.all(apart.map(async ({ roles, first }) => ({ roles, connector: await open(first) })))
}
