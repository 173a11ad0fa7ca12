import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
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
    if (runner) this.tools = () => localTools(runner, this.variables())
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
      env: { PGSSLMODE: sslmode, ...(password === undefined ? {} : { PGPASSWORD: password }), ...trustedFor(sslmode) },
      effect: 'write',
      byHand: shellLine(['psql', ...this.#flags(database), ...args]),
    }
  }

  byHand(database: string, sql: string): string {
    return shellLine(['psql', ...this.#flags(database), '-c', sql])
  }

  /** Returns what tells libpq's programs the way. */
  variables(): Record<string, string> {
    const { host = 'localhost', port = 5432, user, database, password, sslmode } = this.#address
    return {
      ...{ PGHOST: host, PGPORT: String(port), PGUSER: user, PGDATABASE: database, PGSSLMODE: sslmode },
      ...(password === undefined ? {} : { PGPASSWORD: password }),
      ...trustedFor(sslmode),
    }
  }

  #flags(database: string): string[] {
    const { host = 'localhost', port = 5432, user } = this.#address
    return ['-h', host, '-p', String(port), '-U', user, '-d', database]
  }
}

/** The places where systems keep the authorities that they trust: Debian and Alpine, Red Hat. */
const AUTHORITIES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt']

/**
 * Names the authorities where the operator has named none: libpq trusts nobody by itself (PostgreSQL 15, "SSL Support"),
 * this process those of Node and of NODE_EXTRA_CA_CERTS.
 */
function trustedFor(sslmode: string): Record<string, string> {
  if (!sslmode.startsWith('verify-')) return {}
  if (process.env.PGSSLROOTCERT || existsSync(join(homedir(), '.postgresql', 'root.crt'))) return {}
  const file = process.env.NODE_EXTRA_CA_CERTS || AUTHORITIES.find(path => existsSync(path))
  return file === undefined ? {} : { PGSSLROOTCERT: file }
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
