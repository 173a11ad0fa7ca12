import type { AppProcess } from '../../backends/backend.js'
import { messageOf } from '../../errors.js'
import { appliedMigrations, migrationFiles } from '../../mastodon/migrations.js'
import { isUsable } from '../../mastodon/secrets.js'
import type {
  Capabilities,
  SchemaFound,
  ServersFound,
  ServiceFound,
  UpgradeSurroundings,
  VariablesFound,
} from '../../mastodon/upgrade/surroundings.js'
import { processes as sidekiqProcesses } from '../../redis/sidekiq.js'
import type { Toolbox } from '../../toolbox.js'

/**
 * Returns what an upgrade finds: read only, by the facets that there are. What cannot be looked at is null, and a
 * warning says why.
 *
 * @throws RefusedError when the installed version cannot be told.
 */
export async function surroundingsOf(toolbox: Toolbox): Promise<UpgradeSurroundings> {
  const installed = (await toolbox.app.version()).toString()
  const [list, schema, servers, variables, queues] = await Promise.all([
    looked(toolbox, 'The processes', () => toolbox.backend.processes?.list()),
    looked(toolbox, 'The schema', () => schemaOf(toolbox)),
    serversOf(toolbox),
    looked(toolbox, 'The configuration', () => variablesOf(toolbox)),
    looked(toolbox, 'The queues', () => queuesOf(toolbox)),
  ])
  const can = capabilitiesOf(toolbox, list)
  const runtimes = can.images || toolbox.backend.processes?.formation ? 'shipped' : null
  return { installed, schema, servers, runtimes, variables, services: servicesOf(list), queues, can }
}

/** Returns what was seen, or null with a warning. */
async function looked<T>(toolbox: Toolbox, what: string, look: () => Promise<T> | undefined): Promise<T | null> {
  try {
    return (await look()) ?? null
  } catch (error) {
    toolbox.output.warn(`Warning: ${what} could not be looked at: ${messageOf(error)}`)
    return null
  }
}

/** Where processes run images, those of another release can run beside them; elsewhere a release replaces the other. */
function capabilitiesOf({ backend }: Toolbox, list: readonly AppProcess[] | null): Capabilities {
  const images = list?.some(({ image }) => image !== undefined && image !== '') ?? false
  return { images, beside: images, appliesAtOnce: backend.config?.appliesAtOnce ?? false }
}

async function schemaOf(toolbox: Toolbox): Promise<SchemaFound | null> {
  if (toolbox.backend.postgres === undefined) return null
  const applied = [...(await appliedMigrations(toolbox))]
  const files = toolbox.backend.oneOff && (await migrationFiles(toolbox))
  return { applied, files: files ?? null }
}

async function serversOf(toolbox: Toolbox): Promise<ServersFound> {
  const { backend } = toolbox
  const postgres = backend.postgres && (async () => (await toolbox.database()).serverVersionNum())
  const redis = backend.redis && (() => redisVersion(toolbox))
  return {
    postgres: await looked(toolbox, 'PostgreSQL', () => postgres?.()),
    redis: await looked(toolbox, 'Redis', () => redis?.()),
  }
}

async function redisVersion(toolbox: Toolbox): Promise<string | null> {
  const info = await (await toolbox.redis()).read('INFO', 'server')
  return /^redis_version:(\S+)/m.exec(String(info))?.[1] ?? null
}

/** As the next start will see them. */
async function variablesOf({ backend }: Toolbox): Promise<VariablesFound | null> {
  if (backend.config === undefined) return null
  const set = [...(await backend.config.stored())].filter(([, value]) => value !== '')
  const unusable = set.filter(([, value]) => !isUsable(value))
  return { set: namesOf(set), unusable: namesOf(unusable) }
}

function namesOf(variables: readonly [string, string][]): string[] {
  return variables.map(([name]) => name).sort()
}

async function queuesOf(toolbox: Toolbox): Promise<readonly string[] | null> {
  if (toolbox.backend.redis === undefined) return null
  const alive = (await sidekiqProcesses(await toolbox.redis('sidekiq'))).filter(({ quiet }) => !quiet)
  return alive.length === 0 ? null : [...new Set(alive.flatMap(({ queues }) => queues))].sort()
}

/** Several processes of one service are alike. */
function servicesOf(list: readonly AppProcess[] | null): ServiceFound[] | null {
  if (list === null) return null
  const found = list.map(({ name, role, image, command, healthCommand }) => ({
    ...{ name, role },
    ...{ image: image ?? null, command: command ?? null, healthCommand: healthCommand ?? null },
  }))
  return found.filter((service, at) => found.findIndex(({ name }) => name === service.name) === at)
}
