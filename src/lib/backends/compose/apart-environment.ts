/** The names under which the place's servers are found in its network. */
export const DATABASE_ALIAS = 'mstdn-ops-database'
export const REDIS_ALIAS = 'mstdn-ops-redis'

/** What leads to a server, or changes what is migrated: said anew, or left out (.env.production.sample, 1.3 to 4.7). */
const LEADS_AWAY =
  /^(PG[A-Z]+|DB|DATABASE|REPLICA|READ_DATABASE|REDIS|SIDEKIQ_REDIS|CACHE_REDIS|SMTP|BULK_SMTP|S3|AWS|SWIFT|AZURE|ES|ELASTICSEARCH|STATSD|OTEL|MASTODON_PROMETHEUS|DEEPL|LIBRE_TRANSLATE|LDAP|PAM|CAS|SAML|OIDC|SKIP_POST)(_|$)/

/** The values travel by the environment of docker's own client, which these would steer. */
const STEERS_THE_CLIENT = /^(PATH|HOME|USER|SHELL|PWD|TMPDIR|HOSTNAME|(LD|DOCKER|COMPOSE|BUILDKIT|XDG)_.*|.*_PROXY)$/i

/** Where a process apart works. */
export interface ApartDatabase {
  name: string
  user: string
  password: string
  port: number
}

/**
 * Returns the variables of a process apart: those of the app that lead to no server, and its own database, Redis and
 * nothing else. The URLs win over the other variables in every release, so that a file inside of an image says nothing.
 */
export function environmentApart(
  app: ReadonlyMap<string, string>,
  { name, user, password, port }: ApartDatabase,
): Record<string, string> {
  const kept = [...app].filter(([key]) => !LEADS_AWAY.test(key) && !STEERS_THE_CLIENT.test(key))
  const redis = `redis://${REDIS_ALIAS}:6379/0`
  return {
    ...Object.fromEntries(kept),
    DATABASE_URL: `postgres://${user}:${password}@${DATABASE_ALIAS}:${port}/${name}`,
    ...{ DB_HOST: DATABASE_ALIAS, DB_PORT: String(port), DB_NAME: name, DB_USER: user, DB_PASS: password },
    ...{ REDIS_URL: redis, SIDEKIQ_REDIS_URL: redis, CACHE_REDIS_URL: redis },
    ...{ REDIS_HOST: REDIS_ALIAS, REDIS_PORT: '6379' },
    ...{ SMTP_SERVER: 'localhost', SMTP_PORT: '9', S3_ENABLED: 'false', SWIFT_ENABLED: 'false', ES_ENABLED: 'false' },
  }
}
