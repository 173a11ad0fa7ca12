import { type Instance, type Mistake, mistakesError } from '../../instance.js'
import type { Redactor } from '../../redact.js'
import type { Backend } from '../backend.js'
import type { BackendParts } from '../index.js'
import { DirectPostgres } from './postgres.js'
import { DirectRedis } from './redis.js'
import {
  isMistake,
  type PostgresAddress,
  postgresAddressOf,
  redisTargetOf,
  type TlsChoice,
  type UrlMistake,
} from './urls.js'

const DATABASE_URL = 'database_url (in mstdn-ops.yaml, or MSTDN_OPS_DATABASE_URL)'
const REDIS_URL = 'redis_url (in mstdn-ops.yaml, or MSTDN_OPS_REDIS_URL)'

/** How a direct backend names itself, where it is not by its addresses. */
export interface DirectNames {
  kind: string
  title: string
  name: string
}

/**
 * Returns the backend of an instance of which only URLs are known: PostgreSQL, and Redis where it is given. It runs
 * nothing in the app's environment.
 *
 * @throws UsageError naming the settings that are missing or wrong.
 */
export async function openDirect(
  instance: Pick<Instance, 'databaseUrl' | 'redisUrl' | 'acceptSelfSigned'>,
  parts: BackendParts,
  names?: DirectNames,
): Promise<Backend> {
  const { redactor } = parts.output
  for (const url of [instance.databaseUrl, instance.redisUrl]) learnPassword(redactor, url)
  const tls = instance.acceptSelfSigned ? { acceptSelfSigned: true } : {}
  const postgres = readPostgres(instance.databaseUrl, tls)
  const redis = instance.redisUrl === undefined ? undefined : redisTargetOf(instance.redisUrl, tls)
  const mistakes = [...mistakeOf(DATABASE_URL, postgres), ...mistakeOf(REDIS_URL, redis)]
  if (isMistake(postgres) || mistakes.length > 0) throw mistakesError(mistakes)
  redactor.add('database password', postgres.password)
  return {
    ...(names ?? namesOf(postgres)),
    postgres: new DirectPostgres(postgres, { runner: parts.runner }),
    ...(redis === undefined || isMistake(redis) ? {} : { redis: new DirectRedis(redis) }),
    preflight: async () => undefined,
    close: async () => undefined,
  }
}

function readPostgres(url: string | undefined, tls: TlsChoice): PostgresAddress | UrlMistake {
  if (url !== undefined) return postgresAddressOf(url, tls)
  return { problem: 'is missing', allowed: 'postgresql://USER:PASSWORD@HOST:5432/DATABASE' }
}

function mistakeOf(place: string, read: object | undefined): Mistake[] {
  return read !== undefined && isMistake(read) ? [{ place, ...read }] : []
}

function namesOf({ host, port, database }: PostgresAddress): DirectNames {
  const title = `database ${database} at ${host}${host?.startsWith('/') ? '' : `:${port}`}`
  return { kind: 'direct', title, name: `${host}-${database}`.replace(/^\/+/, '').replaceAll('/', '-') }
}

/** Also where the URL is wrong in another part, for then it might be quoted. */
function learnPassword(redactor: Redactor, url: string | undefined): void {
  const [, password] = /^[a-z]+:\/\/[^:@/]*:(.*)@/i.exec(url ?? '') ?? []
  redactor.add('password', password)
  if (password?.includes('%')) redactor.add('password', safelyDecoded(password))
}

function safelyDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
