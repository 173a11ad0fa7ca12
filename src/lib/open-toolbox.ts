import type { FacetName } from './backends/backend.js'
import { openBackend, openNewBackend } from './backends/index.js'
import { RefusedError } from './errors.js'
import { type InstanceFlags, resolveInstance } from './instance.js'
import { Ledger } from './ledger.js'
import { MastodonApp } from './mastodon/app.js'
import type { RedisRole } from './mastodon/redis-keys.js'
import type { MastodonVersion } from './mastodon/version.js'
import type { Output } from './output.js'
import type { Database } from './postgres/access.js'
import { RedisConnections } from './redis/connections.js'
import { Runner } from './runner.js'
import type { Clock, Toolbox } from './toolbox.js'

const systemClock: Clock = { now: () => new Date() }

/** What an instance that is to be made will be. */
export interface ToBe {
  domain: string
  mastodonVersion: string
}

/**
 * Opens the toolbox of the instance that the flags, the environment and the configuration name.
 *
 * @throws UsageError for every mistake in the configuration; RefusedError when the backend cannot be used.
 */
export async function openToolbox(
  flags: InstanceFlags,
  parts: { output: Output; dryRun: boolean; clock?: Clock; toBe?: ToBe },
): Promise<Toolbox> {
  const resolved = { ...(await resolveInstance(flags)), ...parts.toBe }
  const ledger = new Ledger()
  const runner = new Runner({ output: parts.output, ledger, dryRun: parts.dryRun })
  const open = parts.toBe === undefined ? openBackend : openNewBackend
  const backend = await open(resolved, { runner, output: parts.output, ledger })
  const instance = { ...resolved, name: resolved.name || backend.name }
  const means = { backend, ledger, dryRun: parts.dryRun }
  const connections = connectionsOf(means, () => toolbox.app.version())
  const toolbox: Toolbox = {
    instance,
    backend,
    runner,
    ledger,
    output: parts.output,
    clock: parts.clock ?? systemClock,
    dryRun: parts.dryRun,
    app: new MastodonApp({ instance, backend, database: connections.database, output: parts.output }),
    ...connections,
    close: async () => {
      await connections.closeConnections()
      await backend.close()
    },
  }
  return toolbox
}

type Means = Pick<Toolbox, 'backend' | 'ledger' | 'dryRun'>

/** Connections are made on first use, once. */
function connectionsOf(means: Means, version: () => Promise<MastodonVersion>) {
  let database: Promise<Database> | undefined
  const { backend } = means
  const redis = backend.redis && new RedisConnections(backend.redis, means, version)
  return {
    database: () => {
      database ??= connectDatabase(means)
      return database
    },
    redis: async (role: RedisRole = 'main') => {
      if (redis === undefined) throw lacks(backend, 'redis', 'Redis')
      return redis.of(role)
    },
    letGoOfDatabase: async () => {
      const former = database
      database = undefined
      await former?.then(connection => connection.close()).catch(() => undefined)
    },
    letGoOfRedis: async () => redis?.close(),
    closeConnections: async () => {
      await database?.then(connection => connection.close()).catch(() => undefined)
      await redis?.close()
    },
  }
}

async function connectDatabase({ backend, ledger, dryRun }: Means): Promise<Database> {
  if (backend.postgres === undefined) throw lacks(backend, 'postgres', 'PostgreSQL')
  const { openDatabase } = await import('./postgres/access.js')
  return openDatabase(backend.postgres, { ledger, dryRun })
}

/** Returns the refusal of something that this backend has not got; why is the backend's own to say. */
export function lacks(backend: Toolbox['backend'], facet: FacetName, what: string, next?: string): RefusedError {
  return new RefusedError({
    code: 'no-such-capability',
    message: `The ${backend.kind} backend has no ${what}: ${backend.title}.`,
    ...(next === undefined ? {} : { next }),
    ...backend.without?.[facet],
  })
}
