import type { Invocation } from '../../runner.js'
import type { Excuse, PostgresConnector, PostgresTarget, RedisConnector } from '../backend.js'
import { DirectPostgres } from '../direct/postgres.js'
import { DirectRedis } from '../direct/redis.js'
import { isMistake, postgresAddressOf, redisTargetOf, type TlsChoice, type UrlMistake } from '../direct/urls.js'
import type { HerokuApp } from './app.js'

/** The variable of the database that the app uses. */
const CURRENT = 'DATABASE_URL'

/** PostgreSQL at a URL of the app's config vars, reached from here. */
class HerokuPostgres implements PostgresConnector {
  readonly where: string
  readonly tools: PostgresConnector['tools']
  readonly #direct: DirectPostgres
  readonly #app: HerokuApp
  readonly #variable: string

  constructor(app: HerokuApp, direct: DirectPostgres, variable: string) {
    this.where = direct.where
    this.tools = direct.tools
    this.#direct = direct
    this.#app = app
    this.#variable = variable
  }

  target(): Promise<PostgresTarget> {
    return this.#direct.target()
  }

  psql(database: string, args: readonly string[]): Promise<Invocation> {
    return this.#direct.psql(database, args)
  }

  byHand(_database: string, sql: string): string {
    return this.#app.byHand(['pg:psql', ...(this.#variable === CURRENT ? [] : [this.#variable]), '-c', sql])
  }
}

/** Returns the connector of DATABASE_URL, or why there is none: what needs no database works all the same. */
export function postgresOf(
  app: HerokuApp,
  url: string | undefined,
  tls: TlsChoice,
  variable = CURRENT,
): PostgresConnector | Excuse {
  if (!url) return absent(app, variable, 'heroku-postgresql')
  const address = postgresAddressOf(url, { ...tls, unsaid: 'verify' })
  if (isMistake(address)) return unreadable(app, variable, address)
  app.parts.output.redactor.add('database password', address.password)
  const where = `Heroku Postgres of ${app.name}${variable === CURRENT ? '' : ` (${variable})`}`
  return new HerokuPostgres(app, new DirectPostgres(address, { where, runner: app.parts.runner }), variable)
}

/** Returns the connector of REDIS_URL with the namespace of its keys, or why there is none. */
export function redisOf(app: HerokuApp, config: ReadonlyMap<string, string>, tls: TlsChoice): RedisConnector | Excuse {
  const url = config.get('REDIS_URL')
  if (!url) return absent(app, 'REDIS_URL', 'heroku-redis')
  const target = redisTargetOf(url, tls)
  if (isMistake(target)) return unreadable(app, 'REDIS_URL', target)
  app.parts.output.redactor.add('Redis password', target.password)
  const namespace = config.get('REDIS_NAMESPACE')
  return new DirectRedis({ ...target, prefix: namespace ? `${namespace}:` : '' }, `Redis of ${app.name}`)
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
