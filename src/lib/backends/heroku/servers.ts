import { RefusedError } from '../../errors.js'
import type { Invocation } from '../../runner.js'
import type { PostgresConnector, PostgresTarget, RedisConnector } from '../backend.js'
import { DirectPostgres } from '../direct/postgres.js'
import { DirectRedis } from '../direct/redis.js'
import { isMistake, postgresAddressOf, redisTargetOf, type TlsChoice, type UrlMistake } from '../direct/urls.js'
import type { HerokuApp } from './app.js'

/** PostgreSQL at the app's DATABASE_URL, reached from here. */
class HerokuPostgres implements PostgresConnector {
  readonly where: string
  readonly #direct: DirectPostgres
  readonly #app: HerokuApp

  constructor(app: HerokuApp, direct: DirectPostgres) {
    this.where = direct.where
    this.#direct = direct
    this.#app = app
  }

  target(): Promise<PostgresTarget> {
    return this.#direct.target()
  }

  psql(database: string, args: readonly string[]): Promise<Invocation> {
    return this.#direct.psql(database, args)
  }

  byHand(_database: string, sql: string): string {
    return this.#app.byHand(['pg:psql', '-c', sql])
  }
}

/**
 * Returns the connector of DATABASE_URL; undefined where the app has none.
 *
 * @throws RefusedError when it cannot be read; its text is not shown.
 */
export function postgresOf(app: HerokuApp, url: string | undefined, tls: TlsChoice): PostgresConnector | undefined {
  if (!url) return undefined
  const address = postgresAddressOf(url, { ...tls, unsaid: 'verify' })
  if (isMistake(address)) throw unreadable(app, 'DATABASE_URL', address)
  app.parts.output.redactor.add('database password', address.password)
  return new HerokuPostgres(app, new DirectPostgres(address, `Heroku Postgres of ${app.name}`))
}

/** Returns the connector of REDIS_URL with the namespace of its keys; undefined where the app has none. @throws RefusedError when it cannot be read. */
export function redisOf(
  app: HerokuApp,
  config: ReadonlyMap<string, string>,
  tls: TlsChoice,
): RedisConnector | undefined {
  const url = config.get('REDIS_URL')
  if (!url) return undefined
  const target = redisTargetOf(url, tls)
  if (isMistake(target)) throw unreadable(app, 'REDIS_URL', target)
  app.parts.output.redactor.add('Redis password', target.password)
  const namespace = config.get('REDIS_NAMESPACE')
  return new DirectRedis({ ...target, prefix: namespace ? `${namespace}:` : '' }, `Redis of ${app.name}`)
}

function unreadable(app: HerokuApp, name: string, { problem, allowed }: UrlMistake): RefusedError {
  return new RefusedError({
    code: 'url-unreadable',
    message: `${name} of ${app.name} ${problem}.`,
    cause: `Allowed: ${allowed}`,
    next: app.byHand(['config:get', name]),
  })
}
