import type {
  AppProcess,
  Backend,
  DiskSpace,
  Formation,
  Maintenance,
  OneOff,
  Releases,
  Volume,
} from '../../src/lib/backends/backend.js'
import type { Instance } from '../../src/lib/instance.js'
import { Ledger } from '../../src/lib/ledger.js'
import { MastodonApp } from '../../src/lib/mastodon/app.js'
import { Output } from '../../src/lib/output.js'
import type { Database } from '../../src/lib/postgres/access.js'
import type { RedisDatabase } from '../../src/lib/redis/access.js'
import { Runner } from '../../src/lib/runner.js'
import type { Toolbox } from '../../src/lib/toolbox.js'

/** What an instance is made of; a facet that is not given is a capability that its backend has not got. */
export interface Made {
  version?: string
  /** The environment that runs; `stored` is the same unless it is given. */
  config?: Record<string, string>
  stored?: Record<string, string>
  processes?: Partial<AppProcess>[]
  volumes?: Volume[]
  disks?: DiskSpace[]
  database?: Partial<Database>
  redis?: Partial<RedisDatabase>
  oneOff?: Partial<OneOff>
  maintenance?: Maintenance
  formation?: Formation
  releases?: Releases
  now?: Date
}

/** Returns a toolbox over an instance that is made of these parts. */
export function toolboxOf(made: Made): Toolbox {
  const output = new Output({ quiet: true, logLevel: 'error' })
  const ledger = new Ledger()
  const instance: Instance = {
    ...{
      name: 'made',
      projectDir: '/',
      projectDirGiven: false,
      domain: 'example.com',
      budget: {},
      backups: {},
      ambient: { inDyno: false },
    },
    mastodonVersion: made.version ?? '4.5.3',
  }
  const backend = backendOf(made)
  const database = async () => made.database as Database
  return {
    ...{ instance, backend, ledger, output, dryRun: false, database },
    runner: new Runner({ output, ledger }),
    clock: { now: () => made.now ?? new Date() },
    app: new MastodonApp({ instance, backend, database, output }),
    redis: async () => ({ prefix: '', key: (name: string) => name, ...made.redis }) as RedisDatabase,
    letGoOfDatabase: async () => undefined,
    letGoOfRedis: async () => undefined,
    close: async () => undefined,
  }
}

function backendOf(made: Made): Backend {
  const { config, stored, processes, volumes, disks, oneOff, maintenance, formation, releases } = made
  const facets = {
    ...(config && {
      config: { where: 'the file', running: async () => mapOf(config), stored: async () => mapOf(stored ?? config) },
    }),
    ...(processes && { processes: { list: async () => processes.map(processOf), ...(formation && { formation }) } }),
    ...(oneOff && { oneOff: { byHand: () => 'by hand', ...oneOff } }),
    ...(maintenance && { maintenance }),
    ...(releases && { releases }),
    ...((volumes ?? disks) && { storage: { volumes: async () => volumes ?? [], disk: async () => disks ?? [] } }),
    ...(made.database && { postgres: { where: 'the database' } }),
    ...(made.redis && { redis: { where: 'the Redis' } }),
  }
  return { kind: 'made', title: 'a made instance', name: 'made', ...facets } as unknown as Backend
}

function processOf(part: Partial<AppProcess>): AppProcess {
  const role = part.role ?? 'web'
  return { role, name: role, id: `${role}-1`, state: 'running', health: 'healthy', startedAt: undefined, ...part }
}

function mapOf(record: Record<string, string>): ReadonlyMap<string, string> {
  return new Map(Object.entries(record))
}
