import { RefusedError } from '../../errors.js'
import type { Invocation } from '../../runner.js'
import type {
  Excuse,
  OtherRedis,
  PostgresConnector,
  PostgresTarget,
  PostgresTools,
  RedisConnector,
  RedisTarget,
} from '../backend.js'
import { localTools } from '../direct/local-tools.js'
import { DirectPostgres } from '../direct/postgres.js'
import { DirectRedis } from '../direct/redis.js'
import { isMistake, postgresAddressOf, redisTargetOf, type TlsChoice, type UrlMistake } from '../direct/urls.js'
import { othersAt } from '../other-redis.js'
import type { HerokuApp } from './app.js'

/** The variable of the database that the app uses. */
const CURRENT = 'DATABASE_URL'

/** PostgreSQL at a URL of the app's config vars, reached from here. */
class HerokuPostgres implements PostgresConnector {
  readonly where: string
  readonly #server: () => Promise<DirectPostgres>
  readonly #app: HerokuApp
  readonly #variable: string

  constructor(app: HerokuApp, server: () => Promise<DirectPostgres>, parts: { where: string; variable: string }) {
    this.where = parts.where
    this.#server = server
    this.#app = app
    this.#variable = parts.variable
  }

  async target(): Promise<PostgresTarget> {
    return (await this.#server()).target()
  }

  async tools(): Promise<PostgresTools> {
    return localTools(this.#app.parts.runner, (await this.#server()).variables())
  }

  async psql(database: string, args: readonly string[]): Promise<Invocation> {
    return (await this.#server()).psql(database, args)
  }

  byHand(_database: string, sql: string): string {
    return this.#app.byHand(['pg:psql', ...(this.#variable === CURRENT ? [] : [this.#variable]), '-c', sql])
  }
}

/** Returns the connector of a database's URL, or why there is none: what needs no database works all the same. */
export function postgresOf(
  app: HerokuApp,
  url: string | undefined,
  tls: TlsChoice,
  variable = CURRENT,
): PostgresConnector | Excuse {
  const server = serverAt(app, url, tls, variable)
  return isExcuse(server) ? server : new HerokuPostgres(app, async () => server, { where: server.where, variable })
}

/** Returns the connector of DATABASE_URL, wherever that leads: to another server once another database was promoted. */
export function currentPostgres(
  app: HerokuApp,
  config: ReadonlyMap<string, string>,
  tls: TlsChoice,
): PostgresConnector | Excuse {
  const first = serverAt(app, config.get(CURRENT), tls, CURRENT)
  if (isExcuse(first)) return first
  let [known, server] = [config.get(CURRENT), first]
  const now = async () => {
    const url = (await app.config()).get(CURRENT)
    if (url === known) return server
    const other = serverAt(app, url, tls, CURRENT)
    if (isExcuse(other))
      throw new RefusedError({ code: 'url-unreadable', message: `${CURRENT} was changed.`, ...other })
    known = url
    server = other
    return server
  }
  return new HerokuPostgres(app, now, { where: first.where, variable: CURRENT })
}

function serverAt(app: HerokuApp, url: string | undefined, tls: TlsChoice, variable: string): DirectPostgres | Excuse {
  if (!url) return absent(app, variable, 'heroku-postgresql')
  const address = postgresAddressOf(url, { ...tls, unsaid: 'verify' })
  if (isMistake(address)) return unreadable(app, variable, address)
  app.parts.output.redactor.add('database password', address.password)
  const where = `Heroku Postgres of ${app.name}${variable === CURRENT ? '' : ` (${variable})`}`
  return new DirectPostgres(address, { where })
}

/** Redis at the app's REDIS_URL, and at the variables of its other roles, which are read when they are asked for. */
class HerokuRedis extends DirectRedis {
  readonly #app: HerokuApp
  readonly #config: ReadonlyMap<string, string>
  readonly #tls: TlsChoice

  constructor(app: HerokuApp, config: ReadonlyMap<string, string>, tls: TlsChoice, target: RedisTarget) {
    super(target, `Redis of ${app.name}`)
    this.#app = app
    this.#config = config
    this.#tls = tls
  }

  /** @throws RefusedError when a variable is set and no URL of Redis. */
  async others(): Promise<OtherRedis[]> {
    const main = await this.target()
    const at = (role: OtherRole) => place(this.#targetOf(role) ?? main)
    return othersAt(place(main), at, role => {
      const where = `${role === 'sidekiq' ? 'Sidekiq’s' : 'the cache’s'} Redis of ${this.#app.name}`
      return new DirectRedis(this.#targetOf(role) ?? main, where)
    })
  }

  #targetOf(role: OtherRole): RedisTarget | undefined {
    const variable = `${role.toUpperCase()}_REDIS_URL`
    const found = redisAt(this.#app, this.#config, this.#tls, variable)
    if (found !== undefined && isExcuse(found)) {
      throw new RefusedError({ code: 'url-unreadable', message: `${variable} is no Redis of the app.`, ...found })
    }
    return found
  }
}

type OtherRole = OtherRedis['roles'][number]

function place({ host, port, database }: RedisTarget): string {
  return JSON.stringify([host, port, database])
}

/** Returns the connector of REDIS_URL with the namespace of its keys, or why there is none. */
export function redisOf(app: HerokuApp, config: ReadonlyMap<string, string>, tls: TlsChoice): RedisConnector | Excuse {
  const target = redisAt(app, config, tls, 'REDIS_URL') ?? absent(app, 'REDIS_URL', 'heroku-redis')
  return isExcuse(target) ? target : new HerokuRedis(app, config, tls, target)
}

function redisAt(
  app: HerokuApp,
  config: ReadonlyMap<string, string>,
  tls: TlsChoice,
  variable: string,
): RedisTarget | Excuse | undefined {
  const url = config.get(variable)
  if (!url) return undefined
  const target = redisTargetOf(url, tls)
  if (isMistake(target)) return unreadable(app, variable, target)
  app.parts.output.redactor.add('Redis password', target.password)
  const namespace = config.get('REDIS_NAMESPACE')
  return { ...target, prefix: namespace ? `${namespace}:` : '' }
}

export function isExcuse(found: object): found is Excuse {
  return 'cause' in found
}

function absent(app: HerokuApp, variable: string, addon: string): Excuse {
  return {
    cause: `${variable} is not among its config vars.`,
    next: `${app.byHand(['addons:create', addon])}, or --app with another app`,
  }
}

/** What is quoted of a URL may be a part of its password that slipped. */
function unreadable(app: HerokuApp, variable: string, { problem, allowed }: UrlMistake): Excuse {
  const unquoted = problem.replace(/ "[\s\S]*"$/, ' that is not known')
  return {
    cause: `${variable} cannot be used: it ${unquoted} (allowed: ${allowed}).`,
    next: app.byHand(['config:get', variable]),
  }
}
