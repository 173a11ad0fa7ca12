import type { RedisConnector } from '../backends/backend.js'
import { mayBeApart, type RedisRole } from '../mastodon/redis-keys.js'
import type { MastodonVersion } from '../mastodon/version.js'

/** A Redis server of the instance, with what this version keeps there. */
export interface RedisServer {
  roles: readonly RedisRole[]
  connector: RedisConnector
}

/**
 * Returns every Redis server of the instance, the main one first. A variable that this version does not read yet makes no
 * server: what it would move is in the main one.
 */
export async function redisServers(main: RedisConnector, version: MastodonVersion): Promise<RedisServer[]> {
  const named = (await main.others?.()) ?? []
  const others = named.map(({ roles, connector }) => ({
    roles: roles.filter(role => mayBeApart(version, role)),
    connector,
  }))
  const apart = others.filter(({ roles }) => roles.length > 0)
  const moved: readonly RedisRole[] = apart.flatMap(({ roles }) => roles)
  const kept = (['main', 'sidekiq', 'cache'] as const).filter(role => !moved.includes(role))
  return [{ roles: kept, connector: main }, ...apart]
}
