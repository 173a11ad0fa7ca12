import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { PostgresConnector, PostgresTarget } from '../../src/lib/backends/backend.js'
import type { Account } from '../../src/lib/backends/direct/sandbox/server/account.js'
import { createCluster } from '../../src/lib/backends/direct/sandbox/server/postgres.js'
import { places } from '../../src/lib/backends/direct/sandbox/server/record.js'
import { Ledger } from '../../src/lib/ledger.js'
import { Output } from '../../src/lib/output.js'
import { type Database, type DatabaseOptions, openDatabase } from '../../src/lib/postgres/access.js'
import { Runner } from '../../src/lib/runner.js'

/** A real PostgreSQL of this test suite, in a temporary folder, on a free port and a unix socket. */
export interface TestPostgres {
  readonly host: string
  readonly port: number
  readonly socketDir: string
  readonly user: string
  readonly password: string
  /** The process, for faults. */
  readonly server: ChildProcess
  connector(changes?: Partial<PostgresTarget>): PostgresConnector
  /** Opens a database as commands do; `postgres` where none is named. */
  open(database?: string, options?: Partial<DatabaseOptions>): Promise<Database>
  /** Makes an empty database and returns its name. */
  createDatabase(name: string): Promise<string>
  stop(): Promise<void>
}

export interface TestPostgresOptions {
  /** Like `autovacuum=off`. */
  settings?: readonly string[]
  /** Called with the data folder before the start. */
  prepare?: (dataDir: string) => void
}

/** Starts the sandbox's embedded server with a data folder of its own; it is yours to stop. */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-pg-'))
  const password = 'test "pass\' \\word'
  writeFileSync(places(dir).password, password, { mode: 0o600 })
  const runner = new Runner({ output: new Output({ quiet: true }), ledger: new Ledger() })
  const account = await createCluster(dir, runner)
  options.prepare?.(places(dir).data)
  giveFiles(account, places(dir).data)
  const port = await freePort()
  const server = await spawnServer(account, dir, port, options)
  await ready(server)
  return describeServer({ dir, port, password, server })
}

/** The files that `prepare` put there: the server reads a key only if it is its own. */
function giveFiles({ owner }: Account, data: string): void {
  if (owner !== undefined) for (const name of readdirSync(data)) chownSync(join(data, name), owner, owner)
}

async function spawnServer(account: Account, dir: string, port: number, options: TestPostgresOptions) {
  const { postgres } = await account.programs(dir)
  const settings = ['listen_addresses=127.0.0.1', 'fsync=off', 'max_connections=30', 'shared_buffers=32MB']
  const flags = [...settings, ...(options.settings ?? [])].flatMap(setting => ['-c', setting])
  const argv = [...account.prefix, postgres, '-D', places(dir).data, '-k', dir, '-p', String(port), ...flags]
  const [file = postgres, ...args] = argv
  return spawn(file, args, { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] })
}

function describeServer(parts: { dir: string; port: number; password: string; server: ChildProcess }): TestPostgres {
  const { dir, port, password, server } = parts
  const target = { user: 'mastodon', password, database: 'postgres', host: '127.0.0.1', port }
  const connector = (changes: Partial<PostgresTarget> = {}) => connectorTo({ ...target, ...changes })
  const open = (database = 'postgres', more: Partial<DatabaseOptions> = {}) =>
    openDatabase(connector({ database }), { ledger: new Ledger(), dryRun: false, ...more })
  return {
    ...{ host: target.host, port, socketDir: dir, user: target.user, password, server, connector, open },
    async createDatabase(name) {
      const database = await open()
      await database.write(`CREATE DATABASE "${name.replaceAll('"', '""')}" TEMPLATE template0`)
      await database.close()
      return name
    },
    async stop() {
      await end(server)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Returns a connector to this target; `byHand` shows what it was given. */
export function connectorTo(target: PostgresTarget, openStream?: PostgresConnector['openStream']): PostgresConnector {
  return {
    where: 'the test server',
    target: async () => target,
    openStream,
    psql: async () => ({ file: 'psql', args: [], effect: 'read' }),
    byHand: (database, sql) => `psql ${database} -c ${sql}`,
  }
}

async function ready(server: ChildProcess): Promise<void> {
  let said = ''
  server.stderr?.on('data', chunk => {
    said += chunk
  })
  while (!/ready to accept connections/.test(said)) {
    if (server.exitCode !== null) throw new Error(`PostgreSQL did not start: ${said}`)
    await wait(20)
  }
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const ended = once(server, 'exit')
  server.kill('SIGINT')
  await ended
}

/** Returns a port of the loopback address that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
