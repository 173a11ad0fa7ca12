import type { PostgresTarget, RedisTarget } from '../backend.js'
import { decoded } from '../urls.js'

/** What a database URL asks for; `prefer` (libpq's default) is settled by asking the server. */
export interface PostgresAddress extends Omit<PostgresTarget, 'tls'> {
  tls: 'none' | 'prefer' | 'accept-any' | 'verify'
  /** As libpq's programs take it. */
  sslmode: string
}

/** What can be said against an URL: the part of it that is wrong, and what is allowed. */
export interface UrlMistake {
  problem: string
  allowed: string
}

/** How a server's certificate is looked at where its URL does not say. */
export interface TlsChoice {
  /** Certificates that no authority has signed are good enough: asked for by the operator. */
  acceptSelfSigned?: boolean
  /** What a PostgreSQL URL without sslmode means: libpq's `prefer` where absent. */
  unsaid?: 'verify'
}

/** Where Heroku's own add-ons are, whose certificates are self-signed (Dev Center, 2024-11-27 and 2024-12-04). */
const HEROKU_SERVERS = /\.amazonaws\.com$/

const TLS_OF_SSLMODE: Readonly<Record<string, PostgresAddress['tls']>> = {
  disable: 'none',
  allow: 'prefer',
  prefer: 'prefer',
  require: 'accept-any',
  'verify-ca': 'verify',
  'verify-full': 'verify',
}

const POSTGRES_SHAPE =
  'postgresql://USER:PASSWORD@HOST:5432/DATABASE, or …/DATABASE?host=/var/run/postgresql for a socket'
const REDIS_SHAPE = 'redis://:PASSWORD@HOST:6379/0, rediss://… for TLS, or unix:///path/to/redis.sock'

/** Reads `postgres://` and `postgresql://` URLs as libpq does (PostgreSQL 15, "Connection URIs"). */
export function postgresAddressOf(text: string, choice: TlsChoice = {}): PostgresAddress | UrlMistake {
  // libpq takes an URL without a host (a socket, by `?host=`), this language's parser does not.
  const url = parsed(text.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?#]|$)/, '$1localhost'), ['postgres:', 'postgresql:'])
  if (url === undefined) return { problem: 'is no PostgreSQL URL', allowed: POSTGRES_SHAPE }
  const sslmode = url.searchParams.get('sslmode') ?? sslmodeOf(url.hostname, choice)
  const tls = TLS_OF_SSLMODE[sslmode]
  if (tls === undefined) return { problem: `has sslmode "${sslmode}"`, allowed: Object.keys(TLS_OF_SSLMODE).join(', ') }
  const user = decoded(url.username) || url.searchParams.get('user') || ''
  if (user === '') return { problem: 'names no user', allowed: POSTGRES_SHAPE }
  const password = decoded(url.password) || url.searchParams.get('password') || ''
  const host = url.searchParams.get('host') || decoded(url.hostname) || 'localhost'
  return {
    user,
    database: decoded(url.pathname.slice(1)) || url.searchParams.get('dbname') || user,
    ...(password === '' ? {} : { password }),
    host: withoutBrackets(host),
    port: Number(url.port || url.searchParams.get('port') || 5432),
    tls: host.startsWith('/') ? 'none' : tls,
    sslmode,
  }
}

/** Reads `redis://`, `rediss://` and `unix://` URLs as the redis gem of Mastodon does. */
export function redisTargetOf(text: string, { acceptSelfSigned }: TlsChoice = {}): RedisTarget | UrlMistake {
  const url = parsed(text, ['redis:', 'rediss:', 'unix:'])
  if (url === undefined) return { problem: 'is no Redis URL', allowed: REDIS_SHAPE }
  const socket = url.protocol === 'unix:' ? decoded(url.pathname) : undefined
  const database = socket === undefined ? url.pathname.slice(1) : (url.searchParams.get('db') ?? '')
  if (!/^\d*$/.test(database))
    return { problem: `has the database "${database}"`, allowed: 'a number, 0 where it is left out' }
  return {
    ...(url.username === '' ? {} : { username: decoded(url.username) }),
    ...(url.password === '' ? {} : { password: decoded(url.password) }),
    database: Number(database),
    host: socket ?? withoutBrackets(url.hostname || 'localhost'),
    ...(socket === undefined ? { port: Number(url.port || 6379) } : {}),
    tls:
      url.protocol !== 'rediss:'
        ? 'none'
        : acceptSelfSigned || HEROKU_SERVERS.test(url.hostname)
          ? 'accept-any'
          : 'verify',
    prefix: '',
  }
}

function sslmodeOf(host: string, { acceptSelfSigned, unsaid }: TlsChoice): string {
  if (acceptSelfSigned) return 'require'
  if (unsaid !== 'verify') return 'prefer'
  return HEROKU_SERVERS.test(host) ? 'require' : 'verify-full'
}

export function isMistake(read: object): read is UrlMistake {
  return 'problem' in read
}

function parsed(text: string, protocols: readonly string[]): URL | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  return protocols.includes(url.protocol) ? url : undefined
}

/** An IPv6 address stands in brackets in a URL and nowhere else. */
function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1')
}
