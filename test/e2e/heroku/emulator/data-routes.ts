import { randomUUID } from 'node:crypto'
import type { Servers } from '../servers.js'
import { type Addon, type App, stateOf } from './app.js'
import type { Backups } from './backups.js'
import { type Answer, accepted, created, notFound, ok, type Question, type Route } from './exchange.js'
import type { Faults } from './faults.js'
import { attachmentsOf, time } from './shapes.js'

export interface DataHost {
  readonly app: App
  readonly servers: Servers
  readonly backups: Backups
  readonly faults: Faults
}

interface Schedule {
  readonly uuid: string
  readonly name: string
  readonly hour: string
  readonly timezone: string
}

/** What `pg:*` and `redis:*` ask, on the platform at a host of its own. */
export function dataRoutes(host: DataHost): Route[] {
  return [...databaseRoutes(host), ...backupRoutes(host), ...scheduleRoutes(host), ...redisRoutes(host)]
}

function databaseRoutes({ app, servers, faults }: DataHost): Route[] {
  const addonOf = ({ params }: Question) => postgresOf(app, params.database ?? '')
  const reset = async (question: Question) => {
    const { database } = addonOf(question)
    if (database && !faults.takes('reset-idle')) await servers.resetDatabase(database)
    return accepted({ message: 'Database reset' })
  }
  const credential = (question: Question) => ok(credentialOf(addonOf(question)))
  return [
    ['GET', '/client/v11/databases/:database', async question => ok(await databaseInfo(addonOf(question), servers))],
    ['GET', '/client/v11/databases/:database/wait_status', question => ok(waitStatusOf(addonOf(question)))],
    ['PUT', '/client/v11/databases/:database/reset', reset],
    ['GET', '/postgres/v0/databases/:database/credentials', question => ok([credentialOf(addonOf(question))])],
    ['GET', '/postgres/v0/databases/:database/credentials/default', credential],
  ]
}

function waitStatusOf(addon: Addon): Record<string, unknown> {
  const isThere = stateOf(addon) === 'provisioned'
  return { 'waiting?': !isThere, message: isThere ? 'available' : 'preparing' }
}

/** Add-ons are asked for by id or by name. */
function postgresOf(app: App, key: string): Addon {
  const addon = app.addonOf(key)
  if (!addon.database) throw notFound('database', 'database')
  return addon
}

function credentialOf({ url, database }: Addon): Record<string, unknown> {
  const { hostname, port } = new URL(url)
  const active = { state: 'active', user: database?.user, password: database?.password, connections: 0 }
  return {
    ...{ uuid: randomUUID(), name: 'default', state: 'active', database: database?.name },
    ...{ host: hostname, port, credentials: [active] },
  }
}

async function databaseInfo(addon: Addon, servers: Servers): Promise<Record<string, unknown>> {
  const name = addon.database?.name ?? 'postgres'
  const [version, size, connections, tables] = (await servers.sql(measured(name), name)).split('|')
  const line = (title: string, value: string) => ({ name: title, values: [value], resolve_db_name: false })
  const info = [
    line('Plan', addon.plan.replace('heroku-postgresql:', '').replace('essential-', 'Essential ')),
    line('Status', 'Available'),
    line('Connections', `${connections}/20`),
    line('PG Version', version ?? ''),
    line('Created', time(addon.createdAt)),
    line('Data Size', `${size} / 1 GB (0.00%) (In compliance)`),
    line('Tables', `${tables}/4000 (In compliance)`),
    line('Fork/Follow', 'Unsupported'),
    line('Rollback', 'Unsupported'),
    line('Continuous Protection', 'Off'),
  ]
  return {
    ...{ addon_id: addon.id, name: addon.name, plan: addon.plan, resource_url: addon.url, info },
    ...{ created_at: time(addon.createdAt), database_name: name, database_user: addon.database?.user },
    ...{ following: null, leader: null, forked_from: null, postgres_version: version, num_connections: connections },
    ...{ status_updated_at: time(new Date()), standalone_access_url: null, 'waiting?': false },
  }
}

const measured = (
  name: string,
) => `SELECT current_setting('server_version'), pg_size_pretty(pg_database_size('${name}')),
  (SELECT count(*) FROM pg_stat_activity WHERE datname = '${name}' AND usename <> 'postgres'),
  (SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace)`

function backupRoutes({ app, backups }: DataHost): Route[] {
  const capture = ({ params }: Question) => created(backups.capture(postgresOf(app, params.database ?? '')))
  const restore = ({ params, body }: Question) =>
    created(backups.restore(postgresOf(app, params.database ?? ''), String(body.backup_url)))
  /** Without `verbose` the platform leaves the log out. */
  const one = ({ params, query }: Question): Answer => {
    const { logs, ...transfer } = backups.transferOf(params.transfer ?? '')
    return ok(query.get('verbose') === 'true' ? { ...transfer, logs } : transfer)
  }
  return [
    ['POST', '/client/v11/databases/:database/backups', capture],
    ['POST', '/client/v11/databases/:database/restores', restore],
    ['GET', '/client/v11/apps/:app/transfers', () => ok(backups.transfers)],
    ['GET', '/client/v11/apps/:app/transfers/:transfer', one],
    [
      'DELETE',
      '/client/v11/apps/:app/transfers/:transfer',
      async ({ params }) => ok(await backups.remove(params.transfer ?? '')),
    ],
    [
      'POST',
      '/client/v11/apps/:app/transfers/:transfer/actions/cancel',
      ({ params }) => ok(backups.cancel(params.transfer ?? '')),
    ],
    [
      'POST',
      '/client/v11/apps/:app/transfers/:transfer/actions/public-url',
      ({ params }) => ok(backups.publicUrl(params.transfer ?? '')),
    ],
  ]
}

function scheduleRoutes({ app }: DataHost): Route[] {
  const all = new Map<string, Schedule>()
  const add = ({ params, body }: Question): Answer => {
    const database = postgresOf(app, params.database ?? '')
    const name = String(body.schedule_name ?? attachmentsOf(app, database)[0]?.name)
    const schedule = { uuid: randomUUID(), name, hour: String(body.hour), timezone: String(body.timezone) }
    all.set(name, schedule)
    return created(schedule)
  }
  const remove = ({ params }: Question): Answer => {
    const found = [...all.values()].find(({ uuid }) => uuid === params.schedule)
    if (!found) throw notFound('schedule', 'schedule')
    all.delete(found.name)
    return ok(found)
  }
  return [
    ['GET', '/client/v11/databases/:database/transfer-schedules', () => ok([...all.values()])],
    ['POST', '/client/v11/databases/:database/transfer-schedules', add],
    ['DELETE', '/client/v11/databases/:database/transfer-schedules/:schedule', remove],
  ]
}

function redisRoutes({ app, servers }: DataHost): Route[] {
  const info = async ({ params }: Question): Promise<Answer> => {
    const addon = app.addonOf(params.database ?? '')
    if (addon.service !== 'heroku-redis') throw notFound('redis', 'database')
    return ok(redisInfo(addon, await servers.redis('info')))
  }
  return [['GET', '/redis/v0/databases/:database', info]]
}

function redisInfo(addon: Addon, measuredBy: string): Record<string, unknown> {
  const read = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(measuredBy)?.[1]?.trim() ?? ''
  const info = [
    ['Plan', 'Mini'],
    ['Status', 'available'],
    ['Created', time(addon.createdAt)],
    ['Version', read('redis_version')],
    ['Connections', `${read('connected_clients')}/20`],
    ['Memory', `${read('used_memory_human')} / 25 MB`],
    ['Timeout', '300'],
    ['Maxmemory', 'noeviction'],
    ['Persistence', 'None'],
    ['HA Status', 'Unavailable'],
    ['Requires TLS', 'Yes'],
  ].map(([name, value]) => ({ name, values: [value] }))
  const { port } = new URL(addon.url)
  return {
    ...{ addon_id: addon.id, name: addon.name, plan: 'mini', resource_url: addon.url, prefer_native_tls: true, info },
    ...{ created_at: time(addon.createdAt), port: Number(port), formation: { id: randomUUID(), primary: null } },
    ...{ metaas_source: addon.id, version: read('redis_version'), customer_encryption_key: null },
  }
}
