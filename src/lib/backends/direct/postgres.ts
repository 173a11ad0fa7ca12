import { connect } from 'node:net'
import type { Invocation, Runner } from '../../runner.js'
import { shellLine } from '../../text.js'
import type { PostgresConnector, PostgresTarget, PostgresTools } from '../backend.js'
import { localTools } from './local-tools.js'
import type { PostgresAddress } from './urls.js'

/** Milliseconds that a server may take to say whether it speaks TLS. */
const TLS_PATIENCE = 10_000
/** The code of an SSLRequest in protocol 3.0. */
const SSL_REQUEST = 80_877_103

/** A PostgreSQL server that this machine reaches by itself. */
export class DirectPostgres implements PostgresConnector {
  readonly where: string
  readonly #address: PostgresAddress
  readonly tools?: () => Promise<PostgresTools>
  #tls: Promise<PostgresTarget['tls']> | undefined

  /** Without a runner it starts no program. */
  constructor(address: PostgresAddress, parts: { where?: string; runner?: Runner } = {}) {
    const { where = `PostgreSQL at ${shownHost(address)}`, runner } = parts
    this.#address = address
    this.where = where
    if (runner) this.tools = () => localTools(runner, this.#variables())
  }

  async target(): Promise<PostgresTarget> {
    const { sslmode: _sslmode, tls, ...target } = this.#address
    this.#tls ??= tls === 'prefer' ? preferredTls(target) : Promise.resolve(tls)
    return { ...target, tls: await this.#tls }
  }

  /** The password travels by the environment: arguments are seen by every user of the machine. */
  async psql(database: string, args: readonly string[]): Promise<Invocation> {
    const { password, sslmode } = this.#address
    return {
      file: 'psql',
      args: [...this.#flags(database), ...args],
      env: { PGSSLMODE: sslmode, ...(password === undefined ? {} : { PGPASSWORD: password }) },
      effect: 'write',
      byHand: shellLine(['psql', ...this.#flags(database), ...args]),
    }
  }

  byHand(database: string, sql: string): string {
    return shellLine(['psql', ...this.#flags(database), '-c', sql])
  }

  #variables(): Record<string, string> {
    const { host = 'localhost', port = 5432, user, database, password, sslmode } = this.#address
    const variables = { PGHOST: host, PGPORT: String(port), PGUSER: user, PGDATABASE: database, PGSSLMODE: sslmode }
    return password === undefined ? variables : { ...variables, PGPASSWORD: password }
  }

  #flags(database: string): string[] {
    const { host = 'localhost', port = 5432, user } = this.#address
    return ['-h', host, '-p', String(port), '-U', user, '-d', database]
  }
}

function shownHost({ host, port }: PostgresAddress): string {
  return host?.startsWith('/') ? `${host}/.s.PGSQL.${port}` : `${host}:${port}`
}

/**
 * Asks the server whether it speaks TLS, as libpq's `sslmode=prefer` does. A server that cannot be reached is taken
 * for one without: connecting tells why.
 */
function preferredTls({
  host = 'localhost',
  port = 5432,
}: Pick<PostgresTarget, 'host' | 'port'>): Promise<'none' | 'accept-any'> {
  const request = Buffer.alloc(8)
  request.writeInt32BE(8, 0)
  request.writeInt32BE(SSL_REQUEST, 4)
  return new Promise(resolve => {
    const socket = connect({ host, port, timeout: TLS_PATIENCE })
    const answer = (tls: 'none' | 'accept-any') => {
      socket.destroy()
      resolve(tls)
    }
    socket.once('connect', () => socket.write(request))
    socket.once('data', chunk => answer(chunk[0] === 'S'.charCodeAt(0) ? 'accept-any' : 'none'))
    for (const event of ['error', 'timeout', 'close']) socket.once(event, () => answer('none'))
  })
}
