import type { Duplex } from 'node:stream'
import { RefusedError } from '../../errors.js'
import type { Invocation } from '../../runner.js'
import { shellLine } from '../../text.js'
import type { OtherRedis, RedisConnector, RedisTarget } from '../backend.js'
import { othersAt } from '../other-redis.js'
import { decoded, serverUrl } from '../urls.js'
import type { Container } from './containers.js'
import { secretFlag, serverName, shown } from './postgres.js'
import { type AppEnvironment, containerAt, Reach, type ServerAddress } from './reach.js'
import type { Stack } from './stack.js'

/** The app's Redis as its variables name it. */
export interface RedisServer extends RedisTarget {
  address: ServerAddress
}

const PORT = 6379

/** REDIS_URL wins over REDIS_HOST and REDIS_PORT (from 1.4.1); the namespace is a prefix of every key up to 4.3. */
export function redisServerOf(env: ReadonlyMap<string, string>): RedisServer {
  return namedServer(env, '') ?? serverOfParts(env, '', env.get('REDIS_HOST') || 'localhost')
}

type OtherRole = OtherRedis['roles'][number]

/** The variables of a role are those of the main server, with this before them (redis_config.rb, from 2.4.0 and 3.4.0). */
const BEFORE = { sidekiq: 'SIDEKIQ_', cache: 'CACHE_' } as const

/**
 * Returns the server that the variables of this role name; undefined where they name none: the main one serves then. Without
 * a host they name none, as Mastodon has it from 4.3.0 on.
 */
export function otherRedisServerOf(env: ReadonlyMap<string, string>, role: OtherRole): RedisServer | undefined {
  const before = BEFORE[role]
  const host = env.get(`${before}REDIS_HOST`) || undefined
  return namedServer(env, before) ?? (host === undefined ? undefined : serverOfParts(env, before, host))
}

function namedServer(env: ReadonlyMap<string, string>, before: string): RedisServer | undefined {
  const url = serverUrl(env, `${before}REDIS_URL`)
  return url && { ...serverOfUrl(url), prefix: prefixOf(env) }
}

function serverOfParts(env: ReadonlyMap<string, string>, before: string, host: string): RedisServer {
  const password = env.get(`${before}REDIS_PASSWORD`) || undefined
  return {
    ...(password === undefined ? {} : { password }),
    database: Number(env.get(`${before}REDIS_DB`) || 0),
    tls: 'none',
    prefix: prefixOf(env),
    address: { host, port: Number(env.get(`${before}REDIS_PORT`) || PORT) },
  }
}

function prefixOf(env: ReadonlyMap<string, string>): string {
  const namespace = env.get('REDIS_NAMESPACE') || undefined
  return namespace === undefined ? '' : `${namespace}:`
}

function serverOfUrl(url: URL): Omit<RedisServer, 'prefix'> {
  const socket = url.protocol === 'unix:' ? decoded(url.pathname) : undefined
  return {
    ...(url.username === '' ? {} : { username: decoded(url.username) }),
    ...(url.password === '' ? {} : { password: decoded(url.password) }),
    database: Number(socket === undefined ? url.pathname.slice(1) : url.searchParams.get('db')) || 0,
    tls: url.protocol === 'rediss:' ? 'verify' : 'none',
    address: socket === undefined ? { host: url.hostname || 'localhost', port: Number(url.port || PORT) } : { socket },
  }
}

const OWN = { sidekiq: 'Sidekiq’s Redis', cache: 'the cache’s Redis' } as const

/** Redis through the project's containers. */
export class ComposeRedis implements RedisConnector {
  readonly #stack: Stack
  readonly #environment: AppEnvironment
  #reach: Reach | undefined
  #server: RedisServer | undefined
  #service: string | undefined
  readonly #role: OtherRole | undefined

  /** Of the main server, unless a role is given that has a server of its own. */
  constructor(stack: Stack, environment: AppEnvironment, role?: OtherRole) {
    this.#stack = stack
    this.#environment = environment
    this.#role = role
  }

  /** Learns where the server is, so that it can be named. */
  async locate(known?: readonly Container[]): Promise<RedisServer> {
    const env = await this.#environment(known)
    const server = (this.#role && otherRedisServerOf(env, this.#role)) ?? redisServerOf(env)
    this.#stack.parts.output.redactor.add('REDIS_PASSWORD', server.password)
    this.#service = containerAt(known ?? (await this.#stack.containers()), server.address)?.service
    this.#server = server
    return server
  }

  get where(): string {
    const whose = this.#role === undefined ? 'Redis' : OWN[this.#role]
    if (this.#service !== undefined) return `${whose} in service ${this.#service}`
    return this.#server === undefined ? whose : `${whose} at ${shown(this.#server.address)}`
  }

  async others(): Promise<OtherRedis[]> {
    const env = await this.#environment()
    const place = (server: RedisServer) => JSON.stringify([server.address, server.database])
    const at = (role: OtherRole) => place(otherRedisServerOf(env, role) ?? redisServerOf(env))
    return othersAt(place(redisServerOf(env)), at, async role => {
      const connector = new ComposeRedis(this.#stack, this.#environment, role)
      await connector.locate()
      return connector
    })
  }

  async target(): Promise<RedisTarget> {
    const { address, ...target } = this.#server ?? (await this.locate())
    return { ...target, ...serverName(target.tls, address) }
  }

  async openStream(): Promise<Duplex> {
    const server = this.#server ?? (await this.locate())
    this.#reach ??= new Reach(this.#stack, this.where)
    return this.#reach.open(server.address)
  }

  /** @throws RefusedError when Redis is no service of the project. */
  async cli(args: readonly string[]): Promise<Invocation> {
    const server = await this.locate()
    const container = containerAt(await this.#stack.containers(), server.address)
    if (container === undefined || 'socket' in server.address) throw noCli(this.where)
    const words = [
      'redis-cli',
      '-p',
      String(server.address.port),
      ...userFlags(server),
      '-n',
      String(server.database),
      ...args,
    ]
    return this.#stack.project.docker(
      ['exec', this.#tty, ...secretFlag(server.password, 'REDISCLI_AUTH'), container.name, ...words],
      {
        effect: 'write',
        ...(server.password === undefined ? {} : { env: { REDISCLI_AUTH: server.password } }),
        byHand: this.byHand(args),
      },
    )
  }

  byHand(args: readonly string[]): string {
    const address = this.#server?.address
    if (this.#service === undefined && address && 'host' in address) {
      return shellLine(['redis-cli', '-h', address.host, '-p', String(address.port), ...args])
    }
    return this.#stack.project.byHand(['exec', this.#service ?? 'redis', 'redis-cli', ...args])
  }

  /** Forgets what was learnt: configuration or containers have changed. */
  forget(): void {
    this.#server = undefined
    this.#reach = undefined
  }

  get #tty(): string {
    return (this.#stack.parts.terminal ?? process.stdin.isTTY === true) ? '-it' : '-i'
  }
}

function userFlags(server: RedisServer): string[] {
  return server.username === undefined ? [] : ['--user', server.username]
}

function noCli(where: string): RefusedError {
  return new RefusedError({
    code: 'no-redis-cli',
    message: 'There is no redis-cli for this server in the compose project.',
    cause: `${where} is no service of the project.`,
    next: 'Run redis-cli on a machine that reaches the server.',
  })
}
