import type { RedisConnector } from '../backends/backend.js'
import type { RedisRole } from '../mastodon/redis-keys.js'
import type { MastodonVersion } from '../mastodon/version.js'
import type { Toolbox } from '../toolbox.js'
import type { RedisDatabase } from './access.js'

/** The instance's Redis servers, each connected on first use, once. */
export class RedisConnections {
  readonly #main: RedisConnector
  readonly #means: Pick<Toolbox, 'ledger' | 'dryRun'>
  readonly #version: () => Promise<MastodonVersion>
  readonly #open = new Map<RedisRole, Promise<RedisDatabase>>()

  /** What has which role on which server depends on the `version`; it is asked only where there is more than one. */
  constructor(
    main: RedisConnector,
    means: Pick<Toolbox, 'ledger' | 'dryRun'>,
    version: () => Promise<MastodonVersion>,
  ) {
    this.#main = main
    this.#means = means
    this.#version = version
  }

  /** Returns the server that holds what has this role. */
  of(role: RedisRole): Promise<RedisDatabase> {
    const connection = this.#open.get(role) ?? this.#connect(role)
    this.#open.set(role, connection)
    return connection
  }

  async close(): Promise<void> {
    const connections = await Promise.allSettled(this.#open.values())
    const open = connections.flatMap(one => (one.status === 'fulfilled' ? [one.value] : []))
    this.#open.clear()
    for (const redis of new Set(open)) await redis.close().catch(() => undefined)
  }

  async #connect(role: RedisRole): Promise<RedisDatabase> {
    const connector = await this.#serverOf(role)
    if (connector === this.#main && role !== 'main') return this.of('main')
    const { openRedis } = await import('./access.js')
    return openRedis(connector, this.#means)
  }

  async #serverOf(role: RedisRole): Promise<RedisConnector> {
    const others = role === 'main' ? [] : ((await this.#main.others?.()) ?? [])
    if (others.length === 0) return this.#main
    const { redisServers } = await import('./servers.js')
    const servers = await redisServers(this.#main, await this.#version())
    return servers.find(({ roles }) => roles.includes(role))?.connector ?? this.#main
  }
}
