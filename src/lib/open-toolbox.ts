import type { FacetName } from './backends/backend.js'
import { openBackend } from './backends/index.js'
import { RefusedError } from './errors.js'
import { type InstanceFlags, resolveInstance } from './instance.js'
import { Ledger } from './ledger.js'
import { MastodonApp } from './mastodon/app.js'
import type { Output } from './output.js'
import type { Database } from './postgres/access.js'
import type { RedisDatabase } from './redis/access.js'
import { Runner } from './runner.js'
import type { Clock, Toolbox } from './toolbox.js'

const systemClock: Clock = { now: () => new Date() }

/**
 * Opens the toolbox of the instance that the flags, the environment and the configuration name.
 *
 * @throws UsageError for every mistake in the configuration; RefusedError when the backend cannot be used.
 */
export async function openToolbox(
  flags: InstanceFlags,
  parts: { output: Output; dryRun: boolean; clock?: Clock },
): Promise<Toolbox> {
  const resolved = await resolveInstance(flags)
  const ledger = new Ledger()
  const runner = new Runner({ output: parts.output, ledger, dryRun: parts.dryRun })
  const backend = await openBackend(resolved, { runner, output: parts.output, ledger })
  const instance = { ...resolved, name: resolved.name || backend.name }
  const connections = connectionsOf(backend, ledger, parts.dryRun)
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

/** Connections are made on first use, once. */
function connectionsOf(backend: Toolbox['backend'], ledger: Ledger, dryRun: boolean) {
  let database: Promise<Database> | undefined
  let redis: Promise<RedisDatabase> | undefined
  return {
    database: () => {
      database ??= connectDatabase(backend, ledger, dryRun)
      return database
    },
    redis: () => {
      redis ??= connectRedis(backend, ledger, dryRun)
      return redis
    },
    letGoOfDatabase: async () => {
      const former = database
      database = undefined
      await former?.then(connection => connection.close()).catch(() => undefined)
    },
    closeConnections: async () => {
      await database?.then(connection => connection.close()).catch(() => undefined)
      await redis?.then(connection => connection.close()).catch(() => undefined)
    },
  }
}

async function connectDatabase(backend: Toolbox['backend'], ledger: Ledger, dryRun: boolean): Promise<Database> {
  if (backend.postgres === undefined) throw lacks(backend, 'postgres', 'PostgreSQL')
  const { openDatabase } = await import('./postgres/access.js')
  return openDatabase(backend.postgres, { ledger, dryRun })
}

async function connectRedis(backend: Toolbox['backend'], ledger: Ledger, dryRun: boolean): Promise<RedisDatabase> {
  if (backend.redis === undefined) throw lacks(backend, 'redis', 'Redis')
  const { openRedis } = await import('./redis/access.js')
  return openRedis(backend.redis, { ledger, dryRun })
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
