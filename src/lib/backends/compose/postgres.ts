import type { Duplex } from 'node:stream'
import { RefusedError } from '../../errors.js'
import type { Invocation } from '../../runner.js'
import { shellLine } from '../../text.js'
import type { PostgresConnector, PostgresTarget, PostgresTools, ToolScript } from '../backend.js'
import { randomNonce } from '../nonce.js'
import { leashed, toolRun } from '../tool-run.js'
import { decoded, serverUrl } from '../urls.js'
import type { Container } from './containers.js'
import { type AppEnvironment, containerAt, Reach, type ServerAddress } from './reach.js'
import type { Stack } from './stack.js'

/** The app's database as its variables name it. */
export interface PostgresServer extends PostgresTarget {
  address: ServerAddress
}

const PORT = 5432

/** DATABASE_URL wins over DB_*; the defaults are those of config/database.yml (all versions, production). */
export function postgresServerOf(env: ReadonlyMap<string, string>): PostgresServer {
  const url = serverUrl(env, 'DATABASE_URL')
  if (url) return serverOfUrl(url)
  const password = env.get('DB_PASS') || undefined
  return {
    user: env.get('DB_USER') || 'mastodon',
    database: env.get('DB_NAME') || 'mastodon_production',
    ...(password === undefined ? {} : { password }),
    tls: tlsOf(env.get('DB_SSLMODE')),
    address: addressOf(env.get('DB_HOST') || 'localhost', Number(env.get('DB_PORT') || PORT)),
  }
}

function serverOfUrl(url: URL): PostgresServer {
  const host = url.searchParams.get('host') ?? decoded(url.hostname)
  const user = decoded(url.username)
  return {
    user: user || 'mastodon',
    database: decoded(url.pathname.slice(1)) || user,
    ...(url.password === '' ? {} : { password: decoded(url.password) }),
    tls: tlsOf(url.searchParams.get('sslmode') ?? undefined),
    address: addressOf(host || 'localhost', Number(url.port || PORT)),
  }
}

/** A host that is a path is the folder of a unix socket, as for libpq. */
function addressOf(host: string, port: number): ServerAddress {
  return host.startsWith('/') ? { socket: `${host}/.s.PGSQL.${port}` } : { host, port }
}

function tlsOf(mode: string | undefined): PostgresTarget['tls'] {
  if (mode === 'require') return 'accept-any'
  return mode === 'verify-ca' || mode === 'verify-full' ? 'verify' : 'none'
}

/** PostgreSQL through the project's containers: no port need be published. */
export class ComposePostgres implements PostgresConnector {
  readonly #stack: Stack
  readonly #environment: AppEnvironment
  #reach: Reach | undefined
  #server: PostgresServer | undefined
  #service: string | undefined

  constructor(stack: Stack, environment: AppEnvironment) {
    this.#stack = stack
    this.#environment = environment
  }

  /** Learns where the server is, so that it can be named. */
  async locate(known?: readonly Container[]): Promise<PostgresServer> {
    const server = postgresServerOf(await this.#environment(known))
    this.#stack.parts.output.redactor.add('DB_PASS', server.password)
    this.#service = containerAt(known ?? (await this.#stack.containers()), server.address)?.service
    this.#server = server
    return server
  }

  get where(): string {
    if (this.#service !== undefined) return `PostgreSQL in service ${this.#service}`
    return this.#server === undefined ? 'PostgreSQL' : `PostgreSQL at ${shown(this.#server.address)}`
  }

  async target(): Promise<PostgresTarget> {
    const { address, ...target } = this.#server ?? (await this.locate())
    return { ...target, ...serverName(target.tls, address) }
  }

  async openStream(): Promise<Duplex> {
    const server = this.#server ?? (await this.locate())
    this.#reach ??= new Reach(this.#stack, this.where)
    return this.#reach.open(server.address)
  }

  /** A client older than the server is refused by it, so the server's own container comes first. */
  async tools(): Promise<PostgresTools> {
    const { server, seat, reach } = await this.#seat()
    return toolsIn(this.#stack, { name: seat.name, where: `service ${seat.service}` }, { ...server, reach })
  }

  /** @throws RefusedError when no container of the project has psql. */
  async psql(database: string, args: readonly string[]): Promise<Invocation> {
    const { server, seat, reach } = await this.#seat()
    const words = ['psql', ...connectionFlags(reach), '-U', server.user, '-d', database, ...args]
    return this.#stack.project.docker(
      ['exec', this.#tty, ...secretFlag(server.password, 'PGPASSWORD'), seat.name, ...words],
      {
        effect: 'write',
        ...(server.password === undefined ? {} : { env: { PGPASSWORD: server.password } }),
        byHand: this.#line(database, args),
      },
    )
  }

  /** @throws RefusedError when no container of the project has PostgreSQL's programs. */
  async #seat(): Promise<{ server: PostgresServer; seat: Container; reach: ServerAddress }> {
    const server = await this.locate()
    const containers = await this.#stack.containers()
    const own = containerAt(containers, server.address)
    const seat = psqlSeat(containers, own)
    if (seat === undefined) throw noPsql(this.where)
    return { server, seat, reach: seat === own ? { host: '127.0.0.1', port: portOf(server.address) } : server.address }
  }

  byHand(database: string, sql: string): string {
    return this.#line(database, ['-c', sql])
  }

  /** Forgets what was learnt: configuration or containers have changed. */
  forget(): void {
    this.#server = undefined
    this.#reach = undefined
  }

  get #tty(): string {
    return (this.#stack.parts.terminal ?? process.stdin.isTTY === true) ? '-it' : '-i'
  }

  #line(database: string, args: readonly string[]): string {
    const words = ['-U', this.#server?.user ?? 'postgres', '-d', database, ...args]
    const outside = this.#service === undefined && this.#server !== undefined
    if (outside && this.#server) return shellLine(['psql', ...connectionFlags(this.#server.address), ...words])
    return this.#stack.project.byHand(['exec', this.#service ?? 'db', 'psql', ...words])
  }
}

/** Returns PostgreSQL's programs in a container, which reach the server at `reach`. */
export function toolsIn(
  { parts, project }: Stack,
  seat: { name: string; where: string },
  { user, password, database, tls, reach }: PostgresTarget & { reach: ServerAddress },
): PostgresTools {
  const variables = { ...connectionVariables(reach), PGUSER: user, ...sslVariable(tls) }
  const open = async (script: ToolScript) => {
    const nonce = randomNonce()
    const env = { ...variables, PGDATABASE: script.database ?? database }
    const flags = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`])
    const words = ['exec', '-i', ...flags, ...secretFlag(password, 'PGPASSWORD'), seat.name]
    const invocation = project.docker([...words, ...leashed(script, nonce)], {
      effect: script.effect,
      ...(password === undefined ? {} : { env: { PGPASSWORD: password } }),
    })
    return toolRun(await parts.runner.open(invocation), nonce, script)
  }
  return { where: seat.where, open }
}

/** A certificate is checked against the server's name, also when the stream leads there by another way. */
export function serverName(tls: PostgresTarget['tls'], address: ServerAddress): { host?: string } {
  return tls === 'verify' && 'host' in address ? { host: address.host } : {}
}

/** The value travels by the client's environment: `-e NAME` without a value takes it from there. */
export function secretFlag(secret: string | undefined, name: string): string[] {
  return secret === undefined ? [] : ['-e', name]
}

function connectionFlags(address: ServerAddress): string[] {
  if ('socket' in address) return ['-h', address.socket.replace(/\/[^/]*$/, '')]
  return ['-h', address.host, '-p', String(address.port)]
}

function connectionVariables(address: ServerAddress): Record<string, string> {
  if ('socket' in address) return { PGHOST: address.socket.replace(/\/[^/]*$/, '') }
  return { PGHOST: address.host, PGPORT: String(address.port) }
}

/** As strict as the app itself is; libpq's own default would do without. */
function sslVariable(tls: PostgresTarget['tls']): Record<string, string> {
  if (tls === 'accept-any') return { PGSSLMODE: 'require' }
  return tls === 'verify' ? { PGSSLMODE: 'verify-full' } : {}
}

/** The server's own container, unless it is a pooler beside a container that has psql for certain. */
function psqlSeat(containers: readonly Container[], own: Container | undefined): Container | undefined {
  const isPostgres = (container: Container) => /postg/.test(container.image)
  if (own && isPostgres(own)) return own
  return containers.find(container => container.status === 'running' && isPostgres(container)) ?? own
}

function portOf(address: ServerAddress): number {
  return 'socket' in address ? PORT : address.port
}

export function shown(address: ServerAddress): string {
  return 'socket' in address ? address.socket : `${address.host}:${address.port}`
}

function noPsql(where: string): RefusedError {
  return new RefusedError({
    code: 'no-psql',
    message: 'There is no PostgreSQL client for this server in the compose project.',
    cause: `${where} is no service of the project, and no other service runs a PostgreSQL image.`,
    next: 'Give the project a service with a PostgreSQL image, or work on a machine that reaches the server (backend direct).',
  })
}
